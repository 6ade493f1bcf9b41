"""Collections in which the language of the question says little or nothing of that of the passages."""

from benchmarks.language_texts import LIBRARIES, Library

_GERMAN = (
    "Meldung E-4711: Der Antrieb der Kuppel ist überhitzt und muss eine Stunde ruhen.",
    "Meldung E-4712: Die Batterie der Steuerung ist leer und wird beim Neustart geladen.",
    "Die Dichtung DX-200 wird jedes Frühjahr von Frau Kessler am Spiegel gewechselt.",
    "Das Ventil VT-88 schließt bei einem Druck von 340 Millibar und öffnet bei 290.",
    "Der Schlüssel zum Turm liegt bei Herrn Oberhuber im Büro neben der Werkstatt.",
    "Das Teleskop Zeiss-Jena aus dem Jahr 1911 steht heute im Museum der Stadt.",
    "Die Sternwarte Hohenpeißenberg misst jeden Abend die Feuchte der Luft.",
    "Die Kühlung der Kamera wird mit flüssigem Stickstoff aus Behälter K-12 gefüllt.",
)
_CHINESE = (
    "错误代码 E-4711 表示圆顶的电机过热，需要休息一小时。",
    "错误代码 E-4712 表示控制器的电池没电，重启时会充电。",
    "密封圈 DX-200 每年春天由王师傅在镜子旁边更换。",
    "阀门 VT-88 在压力 340 毫巴时关闭，在 290 时打开。",
    "塔楼的钥匙放在车间旁边李主任的办公室里。",
    "望远镜 Zeiss-Jena 造于 1911 年，现在放在城市博物馆。",
    "高山天文台每天晚上测量空气的湿度。",
    "相机用容器 K-12 里的液氮冷却。",
)
_ARABIC = (
    "الرسالة E-4711 تعني أن محرك القبة ساخن ويجب أن يرتاح ساعة.",
    "الرسالة E-4712 تعني أن بطارية التحكم فارغة وتشحن عند التشغيل.",
    "يستبدل الخاتم DX-200 كل ربيع بجانب المرآة.",
    "يغلق الصمام VT-88 عند ضغط 340 مليبار ويفتح عند 290.",
    "مفتاح البرج عند المدير في المكتب بجانب الورشة.",
    "التلسكوب Zeiss-Jena من سنة 1911 موجود اليوم في متحف المدينة.",
    "يقيس المرصد رطوبة الهواء كل مساء.",
    "تبرد الكاميرا بالنيتروجين السائل من الوعاء K-12.",
)
_THAI = (
    "ข้อความ E-4711 หมายถึงมอเตอร์โดมร้อนเกินไปและต้องพักหนึ่งชั่วโมง",
    "ข้อความ E-4712 หมายถึงแบตเตอรี่ของตัวควบคุมหมดและจะชาร์จเมื่อเริ่มใหม่",
    "ซีล DX-200 ถูกเปลี่ยนทุกฤดูใบไม้ผลิข้างกระจก",
    "วาล์ว VT-88 ปิดที่ความดัน 340 มิลลิบาร์และเปิดที่ 290",
    "กุญแจหอคอยอยู่ที่สำนักงานข้างโรงงาน",
    "กล้องโทรทรรศน์ Zeiss-Jena จากปี 1911 อยู่ในพิพิธภัณฑ์ของเมือง",
    "หอดูดาววัดความชื้นของอากาศทุกเย็น",
    "กล้องถ่ายภาพเย็นด้วยไนโตรเจนเหลวจากถัง K-12",
)
_ENGLISH_ABOUT_PARTS = (
    ("What does message E-4711 mean?", 0),
    ("How is the controller's E-4712 solved?", 1),
    ("When is the DX-200 replaced?", 2),
    ("At which pressure does the VT-88 close, 340 or more?", 3),
    ("Where is the Zeiss-Jena of 1911 today?", 5),
    ("What is in container K-12?", 7),
)
_CODES = (("E-4711", 0), ("E-4712", 1), ("DX-200", 2), ("VT-88 340 290", 3), ("Zeiss-Jena 1911", 5), ("K-12", 7))

_KEYWORDS = {
    "de": (("Kuppel Regen", 0), ("Wärter Dorf", 1), ("Fähre Insel", 5), ("Glocke Brand", 7), ("Archiv Briefe", 6)),
    "fr": (
        ("coupole pluie nuit", 0),
        ("gardien village", 1),
        ("bac île", 5),
        ("cloche incendie", 7),
        ("pain farine", 2),
    ),
    "es": (("cúpula anochecer", 0), ("guardián pueblo", 1), ("transbordador isla", 5), ("campana incendio", 7)),
    "pl": (("kopuła deszczu", 0), ("stróż mieszka", 1), ("prom wyspę", 5), ("dzwon pożarze", 7)),
}
_CODES_OF = ("de", "zh", "ar", "th")
_PASSAGES = {library.language: library.passages for library in LIBRARIES}

CASES: tuple[tuple[str, Library], ...] = (
    *(
        (f"{code}, asked in English", Library(code, passages, _ENGLISH_ABOUT_PARTS))
        for code, passages in zip(_CODES_OF, (_GERMAN, _CHINESE, _ARABIC, _THAI), strict=True)
    ),
    *(
        (f"{code}, asked for codes", Library(code, passages, _CODES))
        for code, passages in zip(_CODES_OF, (_GERMAN, _CHINESE, _ARABIC, _THAI), strict=True)
    ),
    *((f"{code}, two words", Library(code, _PASSAGES[code], questions)) for code, questions in _KEYWORDS.items()),
)
"""Each a collection of its own: what it is, its passages and its questions."""
