//! Line charts over a logarithmic number of values, as SVG.

use std::fmt::Write as _;

/// Size of a picture and of the space around what is drawn.
const WIDTH: f64 = 884.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 254.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 52.0;

pub const COLOURS: [&str; 6] = ["#1b6ca8", "#d1495b", "#3c8d5a", "#e0912f", "#7a5195", "#5b6770"];

pub struct Line {
    pub name: String,
    pub colour: &'static str,
    pub is_dashed: bool,
    /// Number of values and what is drawn over it.
    pub points: Vec<(f64, f64)>,
}

pub struct Chart {
    pub title: String,
    pub y_label: String,
    /// Lowest and highest value of the vertical axis, and the distance of its marks.
    pub y_range: (f64, f64),
    pub y_step: f64,
    /// The horizontal axis goes from 1 to 10 to the power of this.
    pub decades: u32,
    pub lines: Vec<Line>,
}

impl Chart {
    pub fn draw(&self) -> String {
        let mut svg = String::new();
        self.write(&mut svg).expect("a string takes every write");
        svg
    }

    fn write(&self, svg: &mut String) -> std::fmt::Result {
        writeln!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"13\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n\
             <text x=\"{LEFT}\" y=\"24\" font-size=\"16\" font-weight=\"bold\" fill=\"#222\">{}</text>",
            self.title
        )?;
        self.write_axes(svg)?;
        for line in &self.lines {
            self.write_line(svg, line)?;
        }
        self.write_legend(svg)?;
        svg.push_str("</svg>\n");
        Ok(())
    }

    fn x(&self, count: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * count.log10() / f64::from(self.decades)
    }

    fn y(&self, value: f64) -> f64 {
        let (low, high) = self.y_range;
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value.clamp(low, high) - low) / (high - low)
    }

    fn write_axes(&self, svg: &mut String) -> std::fmt::Result {
        let (low, high) = self.y_range;
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        let marks = ((high - low) / self.y_step).round() as u32;
        for mark in 0..=marks {
            let value = low + self.y_step * f64::from(mark);
            let y = self.y(value);
            writeln!(svg, "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"#e3e6e8\"/>")?;
            let text = format!("{value:.2}");
            let text = text.trim_end_matches('0').trim_end_matches('.').replace('-', "\u{2212}");
            let text = if text == "\u{2212}0" { "0" } else { &text };
            writeln!(
                svg,
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#444\">{text}</text>",
                LEFT - 8.0,
                y + 4.5
            )?;
        }
        for decade in 0..=self.decades {
            let x = self.x(10.0_f64.powi(decade as i32));
            writeln!(svg, "<path d=\"M{x:.1} {TOP}V{bottom}\" stroke=\"#e3e6e8\"/>")?;
            let (head, exponent) = match decade {
                0 => ("1", String::new()),
                1 => ("10", String::new()),
                _ => ("10", format!("<tspan dy=\"-5\" font-size=\"9\">{decade}</tspan>")),
            };
            writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#444\">{head}{exponent}</text>",
                bottom + 20.0
            )?;
        }
        writeln!(svg, "<path d=\"M{LEFT} {TOP}V{bottom}H{right}\" fill=\"none\" stroke=\"#444\"/>")?;
        let (middle, below) = ((LEFT + right) / 2.0, bottom + 42.0);
        writeln!(
            svg,
            "<text x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\" fill=\"#444\">distinct values</text>"
        )?;
        let middle = (TOP + bottom) / 2.0;
        writeln!(
            svg,
            "<text transform=\"translate(18 {middle}) rotate(-90)\" text-anchor=\"middle\" fill=\"#444\">{}</text>",
            self.y_label
        )
    }

    fn write_line(&self, svg: &mut String, line: &Line) -> std::fmt::Result {
        let points: Vec<String> =
            line.points.iter().map(|(x, y)| format!("{:.1} {:.1}", self.x(*x), self.y(*y))).collect();
        let dashes = if line.is_dashed { " stroke-dasharray=\"6 4\"" } else { "" };
        writeln!(
            svg,
            "<path d=\"M{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.8\" stroke-linejoin=\"round\"{dashes}/>",
            points.join("L"),
            line.colour
        )
    }

    fn write_legend(&self, svg: &mut String) -> std::fmt::Result {
        let left = WIDTH - RIGHT + 16.0;
        for (n, line) in self.lines.iter().enumerate() {
            let y = TOP + 10.0 + 22.0 * n as f64;
            let dashes = if line.is_dashed { " stroke-dasharray=\"6 4\"" } else { "" };
            writeln!(
                svg,
                "<path d=\"M{left} {y}h22\" stroke=\"{}\" stroke-width=\"2.4\"{dashes}/>\
                 <text x=\"{}\" y=\"{}\" fill=\"#222\">{}</text>",
                line.colour,
                left + 28.0,
                y + 4.5,
                line.name
            )?;
        }
        Ok(())
    }
}
