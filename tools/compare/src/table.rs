//! Text in aligned columns.

use std::fmt::Write as _;

/// The first column holds words and stands to the left, as do those named; the others hold numbers.
pub fn table(rows: &[Vec<String>], words: &[usize]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut table = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let is_word = column == 0 || words.contains(&column);
            let written =
                if is_word { write!(line, "{cell:<width$}  ") } else { write!(line, "{cell:>width$}  ") };
            written.expect("a string takes every write");
        }
        table.push_str(line.trim_end());
        table.push('\n');
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_left_and_numbers_right() {
        let row = |cells: [&str; 3]| cells.map(String::from).to_vec();
        let rows = [row(["field", "equal", "met"]), row(["bytes", "7", "yes"])];
        assert_eq!(table(&rows, &[2]), "field  equal  met\nbytes      7  yes\n");
    }
}
