//! Plain tables: columns aligned by spaces, a header in capitals, nothing drawn.

use super::outcome::Outcome;
use super::output::{Output, one_line};

/// A table being made.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub(super) fn new(columns: &[&str]) -> Self {
        Self { rows: vec![columns.iter().map(|column| column.to_uppercase()).collect()] }
    }

    /// Adds a row; an empty cell is shown as `-`.
    pub(super) fn row<const N: usize>(&mut self, cells: [&str; N]) {
        let shown = |cell: &str| if cell.is_empty() { "-".to_owned() } else { one_line(cell) };
        self.rows.push(cells.into_iter().map(shown).collect());
    }

    /// Writes the table. Without rows it writes the header, so that one sees that there is nothing.
    pub(super) fn write(&self, output: &mut Output) -> Outcome {
        output.line(self.text())
    }

    fn text(&self) -> String {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            cells.join("  ").trim_end().to_owned()
        };
        self.rows.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// Writes what is known of one thing: a name and a value a line. What has no value is left out.
pub(super) fn facts(output: &mut Output, facts: &[(&str, &str)]) -> Outcome {
    let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        output.line(format_args!("{name:<width$}  {}", one_line(value)))?;
    }
    Ok(())
}

/// A time of the contract as people read it in a table: UTC, to the second.
pub(super) fn moment(time: &str) -> String {
    time.get(..19).unwrap_or(time).replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_no_value_begins_a_line() {
        let mut table = Table::new(&["name", "role"]);
        table.row(["Zoé", "agent"]);
        table.row(["Maximilien", ""]);
        table.row(["a\nroot", "x"]);
        assert_eq!(table.text(), "NAME         ROLE\nZoé          agent\nMaximilien   -\na\\u000aroot  x");
    }

    #[test]
    fn a_moment_is_shown_to_the_second() {
        assert_eq!(moment("2026-11-22T14:35:02.123456Z"), "2026-11-22 14:35:02");
    }
}
