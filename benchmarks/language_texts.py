"""Small libraries in languages that the built-in embedder does not know: passages, and a question for each of some."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Library:
    """`questions` has pairs of a question and the place of the passage that answers it."""

    language: str
    passages: tuple[str, ...]
    questions: tuple[tuple[str, int], ...]


LIBRARIES = (
    Library(
        "de",
        (
            "Die Kuppel der Sternwarte öffnet bei Einbruch der Dunkelheit und schließt bei Regen.",
            "Der Wärter wohnt seit zwanzig Jahren im Dorf unterhalb des Berges.",
            "Brot besteht aus Mehl, Wasser, Salz und Hefe und braucht eine Stunde im Ofen.",
            "Der Graureiher steht im seichten Wasser und fängt Fische mit dem Schnabel.",
            "Der Fluss trägt jedes Jahr tausend Tonnen Sand zum Meer.",
            "Die Fähre zur Insel fährt nur an Werktagen und kostet vier Euro.",
            "Im Archiv liegen Briefe des Gründers aus dem achtzehnten Jahrhundert.",
            "Die Glocke im Turm wurde beim Brand beschädigt und neu gegossen.",
        ),
        (
            ("Wann öffnet die Kuppel?", 0),
            ("Wo wohnt der Wärter?", 1),
            ("Was kostet die Fähre zur Insel?", 5),
            ("Wie viel Sand trägt der Fluss zum Meer?", 4),
            ("Was wurde beim Brand beschädigt?", 7),
        ),
    ),
    Library(
        "fr",
        (
            "La coupole de l'observatoire s'ouvre à la tombée de la nuit et se ferme quand il pleut.",
            "Le gardien habite depuis vingt ans dans le village au pied de la montagne.",
            "Le pain se fait avec de la farine, de l'eau, du sel et de la levure.",
            "Le héron cendré se tient dans l'eau peu profonde et attrape des poissons.",
            "Le fleuve porte chaque année mille tonnes de sable vers la mer.",
            "Le bac pour l'île ne circule que les jours ouvrables et coûte quatre euros.",
            "Les archives gardent des lettres du fondateur écrites au dix-huitième siècle.",
            "La cloche de la tour a été abîmée par l'incendie puis refondue.",
        ),
        (
            ("Quand la coupole est-elle ouverte ?", 0),
            ("Où habite le gardien ?", 1),
            ("Combien coûte le bac pour aller sur l'île ?", 5),
            ("Quelle cloche a été abîmée par l'incendie ?", 7),
            ("Avec quoi le pain est-il fait ?", 2),
        ),
    ),
    Library(
        "es",
        (
            "La cúpula del observatorio se abre al anochecer y se cierra cuando llueve.",
            "El guardián vive desde hace veinte años en el pueblo al pie de la montaña.",
            "El pan se hace con harina, agua, sal y levadura.",
            "La garza gris está de pie en el agua poco profunda y pesca con el pico.",
            "El río lleva cada año mil toneladas de arena al mar.",
            "El transbordador a la isla solo sale los días laborables y cuesta cuatro euros.",
            "El archivo guarda cartas del fundador escritas en el siglo dieciocho.",
            "La campana de la torre fue dañada por el incendio y fundida de nuevo.",
        ),
        (
            ("¿Cuándo se abre la cúpula?", 0),
            ("¿Dónde vive el guardián?", 1),
            ("¿Cuánto cuesta el transbordador a la isla?", 5),
            ("¿Cuánta arena lleva el río al mar?", 4),
            ("¿Qué cartas guarda el archivo?", 6),
        ),
    ),
    Library(
        "ru",
        (
            "Купол обсерватории открывается с наступлением темноты и закрывается во время дождя.",
            "Сторож уже двадцать лет живёт в деревне у подножия горы.",
            "Хлеб пекут из муки, воды, соли и дрожжей.",
            "Серая цапля стоит на мелководье и ловит рыбу клювом.",
            "Река каждый год несёт к морю тысячу тонн песка.",
            "Паром на остров ходит только по будням и стоит четыре евро.",
            "В архиве хранятся письма основателя восемнадцатого века.",
            "Колокол на башне пострадал при пожаре и был отлит заново.",
        ),
        (
            ("Когда открывается купол?", 0),
            ("Где живёт сторож?", 1),
            ("Сколько стоит паром на остров?", 5),
            ("Что хранится в архиве?", 6),
            ("Какой колокол пострадал при пожаре?", 7),
        ),
    ),
    Library(
        "ar",
        (
            "تفتح قبة المرصد عند حلول الظلام وتغلق عند هطول المطر.",
            "يسكن الحارس منذ عشرين سنة في القرية أسفل الجبل.",
            "يصنع الخبز من الدقيق والماء والملح والخميرة.",
            "يقف مالك الحزين في الماء الضحل ويصيد السمك بمنقاره.",
            "يحمل النهر كل سنة ألف طن من الرمل إلى البحر.",
            "تبحر العبارة إلى الجزيرة في أيام العمل فقط وثمنها أربعة يورو.",
            "يحفظ الأرشيف رسائل المؤسس من القرن الثامن عشر.",
            "تضرر جرس البرج في الحريق ثم صب من جديد.",
        ),
        (
            ("متى تفتح قبة المرصد؟", 0),
            ("أين يسكن الحارس؟", 1),
            ("كم ثمن العبارة إلى الجزيرة؟", 5),
            ("ماذا يحمل النهر إلى البحر؟", 4),
            ("أي جرس تضرر في الحريق؟", 7),
        ),
    ),
    Library(
        "he",
        (
            "כיפת המצפה נפתחת עם רדת החשיכה ונסגרת בזמן גשם.",
            "השומר גר כבר עשרים שנה בכפר שלמרגלות ההר.",
            "לחם עשוי מקמח, מים, מלח ושמרים.",
            "האנפה האפורה עומדת במים רדודים ותופסת דגים במקור.",
            "הנהר נושא בכל שנה אלף טונות של חול אל הים.",
            "המעבורת אל האי יוצאת רק בימי חול ועולה ארבעה אירו.",
            "בארכיון שמורים מכתבים של המייסד מהמאה השמונה עשרה.",
            "הפעמון במגדל נפגע בשריפה ונוצק מחדש.",
        ),
        (
            ("מתי נפתחת כיפת המצפה?", 0),
            ("איפה גר השומר?", 1),
            ("כמה עולה המעבורת אל האי?", 5),
            ("איזה פעמון נפגע בשריפה?", 7),
            ("מה נושא הנהר אל הים?", 4),
        ),
    ),
    Library(
        "zh",
        (
            "天文台的圆顶在天黑时打开，下雨时关闭。",
            "看守人二十年来一直住在山下的村子里。",
            "面包由面粉、水、盐和酵母制成。",
            "苍鹭站在浅水里用喙捕鱼。",
            "这条河每年把一千吨沙子带到大海。",
            "去岛上的渡船只在工作日开，票价四欧元。",
            "档案馆里保存着创始人十八世纪的书信。",
            "塔楼上的钟在火灾中受损，后来重新铸造。",
        ),
        (
            ("圆顶什么时候打开？", 0),
            ("看守人住在哪里？", 1),
            ("去岛上的渡船票价是多少？", 5),
            ("档案馆里保存着什么？", 6),
            ("哪口钟在火灾中受损？", 7),
        ),
    ),
    Library(
        "ja",
        (
            "天文台のドームは日が暮れると開き、雨が降ると閉じます。",
            "番人は二十年前から山のふもとの村に住んでいます。",
            "パンは小麦粉と水と塩と酵母から作られます。",
            "アオサギは浅い水の中に立ち、くちばしで魚を捕ります。",
            "川は毎年千トンの砂を海へ運びます。",
            "島への渡し船は平日だけ運航し、料金は四ユーロです。",
            "文書館には創設者が十八世紀に書いた手紙があります。",
            "塔の鐘は火事で傷つき、鋳直されました。",
        ),
        (
            ("ドームはいつ開きますか？", 0),
            ("番人はどこに住んでいますか？", 1),
            ("島への渡し船の料金はいくらですか？", 5),
            ("火事で傷ついた鐘はどれですか？", 7),
            ("川は海へ何を運びますか？", 4),
        ),
    ),
    Library(
        "th",
        (
            "โดมของหอดูดาวเปิดเมื่อฟ้ามืดและปิดเมื่อฝนตก",
            "ผู้ดูแลอาศัยอยู่ในหมู่บ้านเชิงเขามายี่สิบปีแล้ว",
            "ขนมปังทำจากแป้ง น้ำ เกลือ และยีสต์",
            "นกกระสานวลยืนอยู่ในน้ำตื้นและจับปลาด้วยจะงอยปาก",
            "แม่น้ำพัดพาทรายหนึ่งพันตันลงสู่ทะเลทุกปี",
            "เรือข้ามฟากไปเกาะออกเฉพาะวันทำงานและราคาสี่ยูโร",
            "หอจดหมายเหตุเก็บจดหมายของผู้ก่อตั้งจากศตวรรษที่สิบแปด",
            "ระฆังบนหอคอยเสียหายในเหตุไฟไหม้และหล่อขึ้นใหม่",
        ),
        (
            ("โดมเปิดเมื่อไหร่", 0),
            ("ผู้ดูแลอาศัยอยู่ที่ไหน", 1),
            ("เรือข้ามฟากไปเกาะราคาเท่าไร", 5),
            ("ระฆังใดเสียหายในเหตุไฟไหม้", 7),
            ("แม่น้ำพัดพาอะไรลงสู่ทะเล", 4),
        ),
    ),
    Library(
        "ko",
        (
            "천문대의 돔은 어두워지면 열리고 비가 오면 닫힙니다.",
            "관리인은 이십 년째 산 아래 마을에 삽니다.",
            "빵은 밀가루와 물과 소금과 효모로 만듭니다.",
            "왜가리는 얕은 물에 서서 부리로 물고기를 잡습니다.",
            "강은 해마다 모래 천 톤을 바다로 나릅니다.",
            "섬으로 가는 연락선은 평일에만 다니고 요금은 사 유로입니다.",
            "기록관에는 설립자가 십팔 세기에 쓴 편지가 있습니다.",
            "탑의 종은 화재로 손상되어 다시 주조되었습니다.",
        ),
        (
            ("천문대의 돔은 언제 열리나요?", 0),
            ("관리인은 어디에 삽니까?", 1),
            ("섬으로 가는 연락선 요금은 얼마입니까?", 5),
            ("화재로 손상된 종은 무엇입니까?", 7),
            ("강은 바다로 무엇을 나릅니까?", 4),
        ),
    ),
    Library(
        "hi",
        (
            "वेधशाला का गुंबद अँधेरा होने पर खुलता है और बारिश में बंद होता है।",
            "रखवाला बीस साल से पहाड़ के नीचे गाँव में रहता है।",
            "रोटी आटे, पानी, नमक और खमीर से बनती है।",
            "बगुला उथले पानी में खड़ा होकर चोंच से मछली पकड़ता है।",
            "नदी हर साल एक हज़ार टन रेत समुद्र तक ले जाती है।",
            "द्वीप की नौका केवल काम के दिनों में चलती है और किराया चार यूरो है।",
            "अभिलेखागार में संस्थापक के अठारहवीं सदी के पत्र रखे हैं।",
            "मीनार की घंटी आग में टूट गई और फिर से ढाली गई।",
        ),
        (
            ("गुंबद कब खुलता है?", 0),
            ("रखवाला कहाँ रहता है?", 1),
            ("द्वीप की नौका का किराया कितना है?", 5),
            ("आग में कौन सी घंटी टूट गई?", 7),
            ("नदी समुद्र तक क्या ले जाती है?", 4),
        ),
    ),
    Library(
        "pl",
        (
            "Kopuła obserwatorium otwiera się po zmroku i zamyka podczas deszczu.",
            "Stróż od dwudziestu lat mieszka we wsi u podnóża góry.",
            "Chleb robi się z mąki, wody, soli i drożdży.",
            "Czapla siwa stoi w płytkiej wodzie i łapie ryby dziobem.",
            "Rzeka niesie co roku tysiąc ton piasku do morza.",
            "Prom na wyspę kursuje tylko w dni robocze i kosztuje cztery euro.",
            "W archiwum leżą listy założyciela z osiemnastego wieku.",
            "Dzwon na wieży ucierpiał w pożarze i został odlany na nowo.",
        ),
        (
            ("Kiedy otwiera się kopuła?", 0),
            ("Gdzie mieszka stróż?", 1),
            ("Ile kosztuje prom na wyspę?", 5),
            ("Który dzwon ucierpiał w pożarze?", 7),
            ("Co rzeka niesie do morza?", 4),
        ),
    ),
)
