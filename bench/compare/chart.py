"""Charts as SVG, written by hand. Bars: events per second of each broker, the worst and the best round as a line through
the end. Curves: how figures change along one quantity, the worst and the best round as a line through each point."""

from xml.sax.saxutils import escape

WIDTH = 900
LEFT = 330
RIGHT = 130
TOP = 56
ROW = 46
BAR = 20
# Told apart by brightness too, and readable on a white and on a dark page.
ON_DISK = "#1f77b4"
NOT_ON_DISK = "#f2a65a"
TEXT = "#777777"


def bar(row, mode, y, scale):
    rate = row["modes"][mode]["events_per_s"]
    setting = row["setting_one"] if mode == "one" else row["setting"]
    color = ON_DISK if row["on_disk"].startswith("yes") else NOT_ON_DISK
    end, low, high = (LEFT + rate[key] * scale for key in ("median", "min", "max"))
    middle = y + BAR / 2
    return [
        f'<text x="{LEFT - 10}" y="{y + 8}" text-anchor="end" font-weight="bold">{escape(row["name"])}</text>',
        f'<text x="{LEFT - 10}" y="{y + 22}" text-anchor="end" font-size="11">{escape(setting)}</text>',
        f'<rect x="{LEFT}" y="{y}" width="{end - LEFT:.1f}" height="{BAR}" fill="{color}"/>',
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}" stroke="{TEXT}" stroke-width="2"/>',
        f'<text x="{max(end, high) + 8:.1f}" y="{y + 15}">{rate["median"]:,.0f}</text>',
    ]


def legend(y):
    parts = []
    for x, color, words in ((LEFT, ON_DISK, "on disk before the ack"), (LEFT + 190, NOT_ON_DISK, "not on disk yet")):
        parts.append(f'<rect x="{x}" y="{y}" width="12" height="12" fill="{color}"/>')
        parts.append(f'<text x="{x + 18}" y="{y + 11}">{words}</text>')
    return parts


def document(height, title, parts):
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="13" fill="{TEXT}" role="img">',
        f"<title>{escape(title)}</title>",
        f'<text x="16" y="24" font-size="16" font-weight="bold">{escape(title)}</text>',
    ]
    return "\n".join([*head, *parts, "</svg>"]) + "\n"


def svg(result, mode, title):
    rows = [row for row in result["brokers"] if mode in row["modes"]]
    height = TOP + ROW * len(rows) + 34
    most = max(row["modes"][mode]["events_per_s"]["max"] for row in rows)
    scale = (WIDTH - LEFT - RIGHT) / most
    parts = []
    for number, row in enumerate(rows):
        parts += bar(row, mode, TOP + ROW * number, scale)
    return document(height, title, [*parts, *legend(height - 24)])


PANEL = 170
PANEL_LEFT = 60
PANEL_GAP = 50
COLORS = (ON_DISK, NOT_ON_DISK)


def panel(name, values, top, color, shown):
    """One figure: (median, least, most) at each place, from 0 up; None where it is not known."""
    most = max((value[2] for value in values if value), default=0) or 1
    step = (WIDTH - 2 * PANEL_LEFT) / max(1, len(values) - 1)

    def place(number, value):
        return PANEL_LEFT + number * step, top + PANEL * (1 - value / most)

    base = top + PANEL
    parts = [
        f'<text x="16" y="{top - 18}" font-weight="bold" fill="{color}">{escape(name)}</text>',
        f'<line x1="{PANEL_LEFT}" x2="{WIDTH - PANEL_LEFT}" y1="{base}" y2="{base}" stroke="{TEXT}"/>',
    ]
    known = [(number, value) for number, value in enumerate(values) if value]
    line = " ".join("{:.1f},{:.1f}".format(*place(number, value[0])) for number, value in known)
    parts.append(f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2"/>')
    for number, (middle, low, high) in known:
        x, y = place(number, middle)
        ends = [place(number, end)[1] for end in (low, high)]
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{ends[0]:.1f}" y2="{ends[1]:.1f}" stroke="{TEXT}"/>')
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{color}"/>')
        parts.append(f'<text x="{x:.1f}" y="{ends[1] - 6:.1f}" text-anchor="middle" font-size="11">{shown(middle)}</text>')
    return parts


def curve(title, x_name, places, figures, shown):
    """`places`: the words below each; `figures`: by name, one value for each place, as panel() takes them."""
    parts, top = [], TOP + 24
    for (name, values), color in zip(figures.items(), COLORS):
        parts += panel(name, values, top, color, shown)
        top += PANEL + PANEL_GAP
    step = (WIDTH - 2 * PANEL_LEFT) / max(1, len(places) - 1)
    y = top - PANEL_GAP + 18
    for number, words in enumerate(places):
        parts.append(f'<text x="{PANEL_LEFT + number * step:.1f}" y="{y}" text-anchor="middle">{escape(words)}</text>')
    parts.append(f'<text x="{WIDTH / 2}" y="{y + 22}" text-anchor="middle">{escape(x_name)}</text>')
    return document(y + 34, title, parts)
