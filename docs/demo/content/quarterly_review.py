"""The quarterly review: slides of (title, bullets), and a table for the last."""

SLIDES = [
    (
        "Quarterly Review: July to September",
        ["Larkspur Observatory, prepared by director Matthias Quill for the board meeting of 14 October."],
    ),
    (
        "Observing time",
        [
            "The Corvane telescope was open on 61 of 92 nights, nine more than in the same quarter last year.",
            "Smoke from the Brackenridge fires cost eleven nights in August.",
            "Technical faults cost 3.2 percent of the usable time; the target is below 4 percent.",
        ],
    ),
    (
        "Results",
        [
            "The Thistle camera found the comet candidate now called C/Larkspur-3 on 19 August.",
            "Seventeen papers were submitted, six of them led by students.",
            "The survey of variable stars in the Heron cluster is complete.",
        ],
    ),
    (
        "Money",
        [
            "The shutter motor is replaced in November; the board approved 84,000 euros.",
            "The grant of the Wexcombe Foundation ends in June of next year.",
        ],
    ),
]

BUDGET = [
    ("Item", "Planned", "Spent"),
    ("Electricity", "41,000", "38,600"),
    ("Liquid nitrogen", "12,500", "13,900"),
    ("Road clearing", "7,000", "2,150"),
]
