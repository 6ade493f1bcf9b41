"""The telescope safety manual: pages of (heading, paragraphs). Each inner list is one page of the PDF."""

TITLE = "Larkspur Observatory: Telescope Safety Manual"

PAGES = [
    [
        (
            "About this manual",
            [
                "This manual is for everyone who works at the 1.8 metre Corvane telescope of Larkspur Observatory. "
                "It says what may be done, by whom, and what to do when something goes wrong. It does not explain how "
                "to observe; that is written in the observing guide. Edition 7 replaces every earlier edition and is "
                "reviewed each March by the safety officer, Ines Halvorsen.",
                "A rule in this manual can be set aside only in writing, by the safety officer, for one night at a "
                "time. A spoken exception is not an exception. Whoever sees a rule broken stops the work first and "
                "reports it afterwards; nobody at Larkspur is ever blamed for stopping work too early.",
            ],
        ),
        (
            "Roles on the mountain",
            [
                "The duty observer is responsible for the telescope from sunset to sunrise. The dome engineer looks "
                "after everything that moves: the shutter, the rotation drive and the windscreen. The safety officer "
                "may close the observatory at any time. Students and visiting astronomers work under the duty "
                "observer and hold no role of their own.",
                "Roles are written on the slate beside the control room door before sunset. If the slate is empty, "
                "nobody holds a role and the telescope stays parked at the zenith with its mirror covers shut.",
            ],
        ),
    ],
    [
        (
            "Opening the dome",
            [
                "Only the duty observer and the dome engineer may open the dome. Both must have passed the shutter "
                "course within the last eighteen months. Students, visitors and night assistants may not open it, "
                "not even under supervision. The key to the shutter panel hangs in the amber box and is signed for "
                "each time it is taken.",
                "Before the shutter moves, the person who opens it walks once around the gallery, calls out twice, "
                "and waits fifteen seconds for an answer. The rotation drive is locked with the red pin during the "
                "walk. The pin comes out only when the walk is finished and the gallery gate is latched.",
            ],
        ),
        (
            "Weather limits",
            [
                "The shutter is closed when the wind has been above 52 kilometres per hour for three minutes, when "
                "the relative humidity is above 87 percent, or when lightning is seen within 30 kilometres. After "
                "closing for lightning the dome stays shut for at least forty minutes after the last flash.",
                "Snow or ice on the shutter rails is cleared by hand with the nylon brushes in the gallery locker. "
                "Salt, hot water and metal scrapers are forbidden because they ruin the rail coating. A shutter that "
                "has frozen to its rails is left shut for the night.",
            ],
        ),
    ],
    [
        (
            "The primary mirror",
            [
                "The primary mirror weighs 1,240 kilograms and rests on eighteen air pads. Nobody stands below the "
                "mirror cell while the pads are under pressure. The working pressure is 2.6 bar; above 3.1 bar the "
                "relief valve opens with a loud hiss, which is normal and no reason to leave the building.",
                "The mirror is washed in May and in October, with distilled water and natural sponges, by two people "
                "who have removed rings, watches and badges. It is never wiped dry. Dust between washes is removed "
                "with carbon dioxide snow, never with compressed air from the workshop.",
            ],
        ),
        (
            "Liquid nitrogen and the laser",
            [
                "The Thistle camera is cooled with liquid nitrogen. The dewar is filled each afternoon by one person "
                "with a face shield and cryogenic gloves while a second person stands at the door. If the oxygen "
                "alarm sounds, which it does below 19.5 percent, both leave at once and do not go back for tools.",
                "The guide star laser is a class 4 laser of 14 watts. It is fired only after the regional air "
                "traffic office in Tarn Valley has confirmed by telephone. Two spotters stand outside on the north "
                "terrace with abort buttons and are relieved every ninety minutes.",
            ],
        ),
    ],
    [
        (
            "Emergencies",
            [
                "In case of fire, press the nearest blue call point, leave by the east stair, and gather at the "
                "sundial. The lift is not used. The duty observer counts heads against the slate and reports to the "
                "fire brigade on extension 4471. Nobody goes back for data; every exposure is copied to the valley "
                "within two minutes.",
                "In an earthquake, stay away from the telescope pier and from hanging counterweights. When the "
                "shaking has stopped, the telescope is not moved until the dome engineer has inspected the azimuth "
                "bearing, however small the shock was.",
            ],
        ),
        (
            "After an accident",
            [
                "Every injury, however slight, and every near miss is written into the green accident book before "
                "the end of the night. The safety officer reads the book every Monday and answers each entry within "
                "ten days. Entries are kept for twelve years.",
            ],
        ),
    ],
]
