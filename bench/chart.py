"""The drawing of ./run bench server: a panel for each measure, a bar for each relay, plain SVG."""
from html import escape
from math import log10

PANELS = [  # title, column, key, unit, digits, logarithmic
    ("Throughput, 8 calls, cheap ends (more is better)", "cheap-8", "mb_per_s", "MB/s", 0, False),
    ("Throughput, 8 calls, ends that read all (more is better)", "read-8", "mb_per_s", "MB/s", 0, False),
    ("Relay's CPU for each GB, cheap ends (less is better)", "cheap-8", "cpu_s_per_gb", "s", 3, False),
    ("64 octets there and back beside 8 bulk calls, p99 (less is better; log)", "beside-bulk", "p99_us", "us", 0, True),
    ("Joins a second (more is better; log)", "joins", "joins_per_s", "", 0, True),
    ("User memory of an idle call after 1 MiB each way (less is better; log)", "idle", "kib_after", "KiB", 2, True),
]
PANEL_WIDTH, NAME_WIDTH, BAR_WIDTH, ROW_HEIGHT = 500, 165, 235, 18
STYLE = ("text{font:12px sans-serif;fill:#333}.title{font-weight:bold}.bar{fill:#9ab}.ours{fill:#c63}"
         ".limit{fill:#ddd}.range{stroke:#333;stroke-width:1}")


def scale(value, most, logarithmic):
    """Where in a panel; a logarithmic one shows the last four powers of ten."""
    if logarithmic:
        share = 1 + log10(max(value, 1e-9) / most) / 4
    else:
        share = value / most
    return BAR_WIDTH * min(max(share, 0.004), 1)


def panel(result, x, y, title, column, key, unit, digits, logarithmic):
    rows = [(name, which, result["figures"][which][column][key]) for which, name in result["names"].items()
            if key in result["figures"][which].get(column, {})]
    rows = [row for row in rows if row[2]["most"] > 0]
    parts = [f'<text class="title" x="{x}" y="{y + 12}">{escape(title)}</text>']
    most = max((figure["most"] for _, _, figure in rows), default=1)
    for i, (name, which, figure) in enumerate(rows):
        top = y + 22 + i * ROW_HEIGHT
        left = x + NAME_WIDTH
        kind = {"cyphernet": "bar ours", "loopback": "bar limit"}.get(which, "bar")
        ends = [left + scale(figure[end], most, logarithmic) for end in ("median", "least", "most")]
        parts += [f'<text x="{x}" y="{top + 12}">{escape(name)}</text>',
                  f'<rect class="{kind}" x="{left}" y="{top + 2}" width="{ends[0] - left:.1f}" '
                  f'height="{ROW_HEIGHT - 5}"/>',
                  f'<line class="range" x1="{ends[1]:.1f}" x2="{ends[2]:.1f}" y1="{top + 8.5}" y2="{top + 8.5}"/>',
                  f'<text x="{ends[2] + 4:.1f}" y="{top + 12}">{figure["median"]:,.{digits}f} {unit}</text>']
    return parts


def draw(result):
    height = 22 + ROW_HEIGHT * len(result["names"]) + 16
    count = len(PANELS) // 2
    parts = []
    for i, what in enumerate(PANELS):
        parts += panel(result, 12 + i // count * PANEL_WIDTH, 34 + i % count * height, *what)
    machine, settings = result["machine"], result["settings"]
    noise = max((column["noise"]["others_cores_most"] for columns in result["figures"].values()
                 for column in columns.values()), default=0)
    title = (f"{machine['cores']} cores, {machine['system']}, loopback, {'cubic' if machine['cubic'] else 'as it is'}; "
             f"medians of {settings['runs']} interleaved runs, lines from least to most; other programs used at most "
             f"{noise:.0%} of a core")
    width, height = 2 * PANEL_WIDTH + 24, 34 + count * height
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
                      f'viewBox="0 0 {width} {height}">', f"<style>{STYLE}</style>",
                      f'<rect width="{width}" height="{height}" fill="#fff"/>',
                      f'<text x="12" y="18">{escape(title)}</text>', *parts, "</svg>", ""])
