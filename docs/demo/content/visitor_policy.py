"""The visitor policy: (heading, paragraphs, bullets), and the table of fees."""

TITLE = "Visitor Policy of Larkspur Observatory"

SECTIONS = [
    (
        "Opening hours",
        [
            "Visitors are welcome on Wednesday and Saturday afternoons from 13:00 to 17:30, between the first of "
            "April and the end of October. In winter the road above the Tarn Valley barrier is closed to the public."
        ],
        [],
    ),
    (
        "Groups and guides",
        [
            "A group has at most fourteen people and is always led by a guide in a yellow vest. Schools book at least "
            "three weeks ahead with Oluwaseun Pryce at the visitor desk. Children under six stay on the ground floor."
        ],
        [],
    ),
    (
        "What to leave behind",
        ["Please leave these in the lockers of the gatehouse, which take a token and cost nothing:"],
        [
            "Torches with white light; red torches are lent out at the desk.",
            "Drones, kites and anything else that flies.",
            "Dogs other than guide dogs, because of the fox traps around the south cabin.",
        ],
    ),
    (
        "Photography",
        [
            "Photographs for private use are allowed everywhere except in the laser room. Tripods need a permit from "
            "the visitor desk, which is valid for one day."
        ],
        [],
    ),
]

FEES = [
    ("Visitor", "Fee", "Includes"),
    ("Adult", "9.50 euros", "Guided tour of the Corvane dome"),
    ("Student", "4.00 euros", "Guided tour of the Corvane dome"),
    ("School class", "60.00 euros", "Tour and one hour in the solar lab"),
]
