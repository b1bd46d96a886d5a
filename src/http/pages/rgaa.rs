//! The grid of the RGAA: how far the pages meet it, criterion by criterion. `docs/accessibility.md` is its only source, and is compiled
//! in; the declaration and the footer of every page are made from it.

use std::sync::LazyLock;

use chrono::NaiveDate;

static GRID: LazyLock<Grid> = LazyLock::new(|| {
    let grid = Grid::parse(include_str!("../../../docs/accessibility.md"));
    grid.unwrap_or_else(|wrong| panic!("docs/accessibility.md: {wrong}"))
});

/// The whole grid.
#[derive(Debug)]
pub(super) struct Grid {
    /// The day of the assessment.
    pub established: NaiveDate,
    /// In the order of the RGAA.
    pub themes: Vec<Theme>,
}

/// A theme of the RGAA, with its criteria.
#[derive(Debug)]
pub(super) struct Theme {
    /// In French.
    pub name: &'static str,
    criteria: Vec<Criterion>,
}

/// One criterion, in French.
#[derive(Debug)]
pub(super) struct Criterion {
    /// Such as `7.1`.
    pub number: &'static str,
    /// What it asks for, in short.
    pub asks: &'static str,
    /// The test that shows it, or the reason.
    pub evidence: &'static str,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Met,
    NotMet,
    NotApplicable,
}

/// How many criteria are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub met: usize,
    pub not_met: usize,
    pub not_applicable: usize,
}

/// The three words of the law (decree 2019-768, art. 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conformity {
    Total,
    Partial,
    None,
}

impl Grid {
    /// The one of these pages.
    pub fn get() -> &'static Self {
        &GRID
    }

    fn parse(source: &'static str) -> Result<Self, String> {
        let mut established = None;
        let mut themes: Vec<Theme> = Vec::new();
        for line in source.lines() {
            if let Some(day) = line.strip_prefix("- Établie le : ") {
                established = Some(day.parse().map_err(|error| format!("{day}: {error}"))?);
            } else if let Some((number, name)) = line.strip_prefix("## ").and_then(|heading| heading.split_once(". "))
                && number == (themes.len() + 1).to_string()
            {
                themes.push(Theme { name, criteria: Vec::new() });
            } else if let Some(criterion) = Criterion::parse(line)? {
                themes.last_mut().ok_or("a criterion before its theme")?.criteria.push(criterion);
            }
        }
        Ok(Self { established: established.ok_or("it is of no day")?, themes })
    }

    /// Over all themes.
    pub fn counts(&self) -> Counts {
        Counts::of(self.themes.iter().flat_map(|theme| &theme.criteria))
    }

    /// What is not accessible.
    pub fn not_met(&self) -> Vec<&Criterion> {
        let criteria = self.themes.iter().flat_map(|theme| &theme.criteria);
        criteria.filter(|criterion| criterion.state == State::NotMet).collect()
    }
}

impl Theme {
    /// Of its criteria.
    pub fn counts(&self) -> Counts {
        Counts::of(&self.criteria)
    }
}

impl Criterion {
    /// A line of a table, unless it is another line or of a criterion of WCAG, whose number has three parts.
    fn parse(line: &'static str) -> Result<Option<Self>, String> {
        let Some(row) = line.strip_prefix("| ").and_then(|row| row.strip_suffix(" |")) else { return Ok(None) };
        let [number, asks, state, evidence] = row.split(" | ").collect::<Vec<_>>()[..] else {
            return Err(format!("a row has four cells: {line}"));
        };
        let parts: Vec<&str> = number.split('.').collect();
        if parts.len() != 2 {
            return Ok(None);
        }
        let state = match state {
            "conforme" => State::Met,
            "non conforme" => State::NotMet,
            "non applicable" => State::NotApplicable,
            other => return Err(format!("{number}: {other} is no state")),
        };
        Ok(Some(Self { number, asks, evidence, state }))
    }
}

impl Counts {
    fn of<'a>(criteria: impl IntoIterator<Item = &'a Criterion>) -> Self {
        criteria.into_iter().fold(Self::default(), |mut counts, criterion| {
            match criterion.state {
                State::Met => counts.met += 1,
                State::NotMet => counts.not_met += 1,
                State::NotApplicable => counts.not_applicable += 1,
            }
            counts
        })
    }

    /// Of the criteria that apply, how many are met: in percent, never more than it is.
    pub fn percentage(self) -> usize {
        (self.met * 100).checked_div(self.met + self.not_met).unwrap_or(100)
    }

    /// Total where every criterion that applies is met, partial from half of them on (RGAA, "Obligations").
    pub fn conformity(self) -> Conformity {
        match self.percentage() {
            _ if self.not_met == 0 => Conformity::Total,
            50.. => Conformity::Partial,
            _ => Conformity::None,
        }
    }
}

impl Conformity {
    /// The name of the text at the foot of every page.
    pub const fn footer(self) -> &'static str {
        match self {
            Self::Total => "footer-accessibility-total",
            Self::Partial => "footer-accessibility-partial",
            Self::None => "footer-accessibility-none",
        }
    }

    /// The name of the sentence that says it of these pages.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Total => "accessibility-total",
            Self::Partial => "accessibility-partial",
            Self::None => "accessibility-none",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_has_the_106_criteria_of_the_rgaa_in_their_order() {
        let sizes = [9, 2, 3, 13, 8, 2, 5, 10, 4, 14, 13, 11, 12];
        let expected = sizes
            .iter()
            .enumerate()
            .flat_map(|(theme, size)| (1..=*size).map(move |criterion| format!("{}.{criterion}", theme + 1)));
        let criteria: Vec<&Criterion> = Grid::get().themes.iter().flat_map(|theme| &theme.criteria).collect();
        let numbers: Vec<&str> = criteria.iter().map(|criterion| criterion.number).collect();
        assert_eq!(numbers, expected.collect::<Vec<_>>());
        assert_eq!(numbers.len(), 106);
        for criterion in criteria {
            assert!(!criterion.asks.is_empty() && criterion.evidence.len() > 8, "{criterion:?}");
            // The declaration shows the reason as it is, and says what will be done.
            let is_said = criterion.evidence.contains("Plan\u{a0}:") && !criterion.evidence.contains('`');
            assert!(criterion.state != State::NotMet || is_said, "{criterion:?}");
        }
        let Counts { met, not_met, not_applicable } = Grid::get().counts();
        assert_eq!((met + not_met + not_applicable, Grid::get().not_met().len()), (106, not_met));
    }

    #[test]
    fn the_state_is_the_one_that_the_law_names() {
        let state = |met, not_met| {
            let counts = Counts { met, not_met, not_applicable: 3 };
            (counts.percentage(), counts.conformity())
        };
        assert_eq!(state(60, 0), (100, Conformity::Total));
        assert_eq!(state(199, 1), (99, Conformity::Partial));
        assert_eq!(state(1, 1), (50, Conformity::Partial));
        assert_eq!(state(49, 51), (49, Conformity::None));
        assert_eq!(state(0, 0), (100, Conformity::Total));
    }

    #[test]
    fn a_grid_that_cannot_be_read_is_a_fault() {
        let day = "- Établie le : 2026-11-30\n";
        for (source, said) in [
            ("", "of no day"),
            ("- Établie le : hier", "hier"),
            ("| 1.1 | x | conforme | y |", "before its theme"),
            ("## 1. Images\n| 1.1 | x | conforme |", "four cells"),
            ("## 1. Images\n| 1.1 | x | presque | y |", "presque is no state"),
        ] {
            let wrong = Grid::parse(source).unwrap_err();
            assert!(wrong.contains(said), "{source}: {wrong}");
        }
        let one = format!("{day}## 1. Images\n| 1.1 | x | conforme | y |\n## Other\n| 2.5.8 | x | conforme | y |");
        let grid = Grid::parse(one.leak()).unwrap();
        assert_eq!((grid.themes.len(), grid.counts().met), (1, 1));
    }
}
