"""The instrument inventory: sheets of rows, the first of them the heading."""

SHEETS = {
    "Instruments": [
        ("Tag", "Instrument", "Room", "Serial number", "Bought", "Keeper"),
        ("LO-101", "Thistle camera", "Cassegrain cage", "THC-0047", 2016, "Priya Ravensworth"),
        ("LO-102", "Bramble spectrograph", "Coude room", "BRS-1182", 2009, "Tomasz Ellery"),
        ("LO-103", "Guide star laser", "Laser room", "GSL-0009", 2021, "Priya Ravensworth"),
        ("LO-104", "Sorrel photometer", "Store B", "SOR-3310", 1998, "Tomasz Ellery"),
        ("LO-105", "Wavefront sensor", "Optics lab", "WFS-0221", 2019, "Noor Castellan"),
    ],
    "Loans": [
        ("Tag", "Lent to", "Until"),
        ("LO-104", "Fennimore College", "31 January"),
        ("LO-105", "Port Aldous Institute", "15 May"),
    ],
}
