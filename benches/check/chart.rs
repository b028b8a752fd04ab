//! A bar chart as SVG, readable on light and on dark pages.

use std::fmt::Write;

const LABELS: f64 = 220.0;
const PLOT: f64 = 420.0;
const ROW: f64 = 26.0;
const TOP: f64 = 56.0;
const WIDTH: f64 = LABELS + PLOT + 130.0;

/// One bar a row, of two parts: the server's share and Redis' share.
pub fn bars(title: &str, rows: &[(&str, f64, f64)]) -> String {
    let longest = rows.iter().map(|(_, server, redis)| server + redis).fold(1.0, f64::max);
    let height = rows.iter().fold(TOP, |height, _| height + ROW) + 10.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\">\n<title>{title}</title>\n\
         <style>text{{fill:#24292f}}.s{{fill:#0969da}}.r{{fill:#cf222e}}.own{{font-weight:600}}\
         @media(prefers-color-scheme:dark){{text{{fill:#e6edf3}}.s{{fill:#58a6ff}}.r{{fill:#ff7b72}}}}</style>\n\
         <text x=\"0\" y=\"18\" font-size=\"15\">{title}</text>\n\
         <rect class=\"s\" x=\"{LABELS}\" y=\"29\" width=\"10\" height=\"10\"/><text x=\"{}\" y=\"38\">server</text>\n\
         <rect class=\"r\" x=\"{}\" y=\"29\" width=\"10\" height=\"10\"/><text x=\"{}\" y=\"38\">Redis</text>\n",
        LABELS + 16.0,
        LABELS + 80.0,
        LABELS + 96.0,
    );
    let mut y = TOP;
    for (name, server, redis) in rows {
        let (first, second) = (server / longest * PLOT, redis / longest * PLOT);
        let own = if name.starts_with("sessiond") { " class=\"own\"" } else { "" };
        // Writing to a string cannot fail.
        let _written = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\"{own}>{name}</text>\
             <rect class=\"s\" x=\"{LABELS}\" y=\"{y}\" width=\"{first:.1}\" height=\"16\"/>\
             <rect class=\"r\" x=\"{:.1}\" y=\"{y}\" width=\"{second:.1}\" height=\"16\"/>\
             <text x=\"{:.1}\" y=\"{}\">{server:.1} + {redis:.1}</text>",
            LABELS - 8.0,
            y + 13.0,
            LABELS + first,
            LABELS + first + second + 6.0,
            y + 13.0,
        );
        y += ROW;
    }
    svg + "</svg>\n"
}
