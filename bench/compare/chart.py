"""Bars as SVG, written by hand: events per second of each broker, the worst and the best round as a line through the end."""

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


def svg(result, mode, title):
    rows = [row for row in result["brokers"] if mode in row["modes"]]
    height = TOP + ROW * len(rows) + 34
    most = max(row["modes"][mode]["events_per_s"]["max"] for row in rows)
    scale = (WIDTH - LEFT - RIGHT) / most
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="13" fill="{TEXT}" role="img">',
        f"<title>{escape(title)}</title>",
        f'<text x="16" y="24" font-size="16" font-weight="bold">{escape(title)}</text>',
    ]
    for number, row in enumerate(rows):
        parts += bar(row, mode, TOP + ROW * number, scale)
    return "\n".join([*parts, *legend(height - 24), "</svg>"]) + "\n"
