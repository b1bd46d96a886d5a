//! What a description of a table consists of, and what follows from it: what digests cover, who may write what, and what
//! exports show.

use super::proof::Group;
use super::value::Shape;

/// A column that digests cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// The name of the column.
    pub name: &'static str,
    /// What kind of value it holds, and so how a digest takes it in.
    pub shape: Shape,
    /// Since which form. A new one has the next number of every kind that it is in.
    pub since: i32,
    /// What sheets call it, where they show it.
    pub exported_as: Option<&'static str>,
    /// Whether the server writes it again after the row was added.
    pub changes: bool,
    /// Whether reviewers with tools of their own do not see it: it lets somebody in, or is where somebody is written to.
    pub is_withheld: bool,
}

impl Column {
    /// One that was always covered, is never changed, and is shown to reviewers under its own name.
    #[must_use]
    pub const fn new(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, since: 1, exported_as: Some(name), changes: false, is_withheld: false }
    }

    /// Covered since this form, and not before.
    #[must_use]
    pub const fn since(self, form: i32) -> Self {
        Self { since: form, ..self }
    }

    /// Changed by the server.
    #[must_use]
    pub const fn changes(self) -> Self {
        Self { changes: true, ..self }
    }

    /// Exported under another name.
    #[must_use]
    pub const fn exported_as(self, name: &'static str) -> Self {
        Self { exported_as: Some(name), ..self }
    }

    /// The same column, which no export contains.
    #[must_use]
    pub const fn not_exported(self) -> Self {
        Self { exported_as: None, ..self }
    }

    /// Withheld from reviewers, and not exported.
    #[must_use]
    pub const fn withheld(self) -> Self {
        Self { is_withheld: true, ..self }.not_exported()
    }
}

/// A column that no digest covers: what it says follows from the others, or says nothing of what happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uncovered {
    /// The name of the column.
    pub name: &'static str,
    /// Why no digest needs to cover it.
    pub kind: UncoveredKind,
}

/// Why no digest needs to cover a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UncoveredKind {
    /// Shows that the members of a group are what was sealed.
    Proof(Group),
    /// The name in this column, as names are compared (`model::folding`).
    Folded(&'static str),
    /// The address in this column, as addresses are ordered (`model::address::key`).
    Key(&'static str),
    /// The server's own, which it changes.
    Internal,
}

impl Uncovered {
    /// The column that it follows from.
    const fn source(&self) -> Option<&'static str> {
        match self.kind {
            UncoveredKind::Folded(source) | UncoveredKind::Key(source) => Some(source),
            UncoveredKind::Proof(_) | UncoveredKind::Internal => None,
        }
    }
}

/// A table of the history, or of what gives power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// The name of the table.
    pub name: &'static str,
    /// The columns that name a row in the subject of its records.
    pub key: &'static [&'static str],
    /// Whose row it is: a user's id.
    pub owner: Option<&'static str>,
    /// The moment that must be past before anything is removed from a row; missing while it is not.
    pub over: Option<&'static str>,
    /// What digests cover, in this order. After each part come the commitments to what can be removed of it.
    pub parts: &'static [&'static [Column]],
    /// All its other columns.
    pub uncovered: &'static [Uncovered],
}

impl Table {
    /// The columns that digests cover, in the order in which they do.
    pub fn covered(&self) -> impl Iterator<Item = &'static Column> + use<> {
        self.parts.iter().copied().flatten()
    }

    /// The covered column of this name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&'static Column> {
        self.covered().find(|column| column.name == name)
    }

    /// The name of every column.
    #[must_use]
    pub fn columns(&self) -> Vec<&'static str> {
        self.names(|_| true, |_| true)
    }

    /// What the server may update.
    #[must_use]
    pub fn changing(&self) -> Vec<&'static str> {
        self.names(|column| column.changes, |kind| kind == UncoveredKind::Internal)
    }

    /// What reviewers may select.
    #[must_use]
    pub fn shown(&self) -> Vec<&'static str> {
        self.names(|column| !column.is_withheld, |kind| kind == UncoveredKind::Internal)
    }

    /// What is written anew when members are removed from a row.
    #[must_use]
    pub fn removable(&self) -> Vec<&'static str> {
        [Group::Addresses, Group::Person].into_iter().flat_map(|group| self.removed_with(group)).collect()
    }

    /// What is written anew when the members of a group are removed from a row.
    #[must_use]
    pub fn removed_with(&self, group: Group) -> Vec<&'static str> {
        self.names(|column| column.shape.group() == Some(group), |kind| kind == UncoveredKind::Proof(group))
    }

    /// What is never written anew once the row is over.
    #[must_use]
    pub fn lasting(&self) -> Vec<&'static str> {
        self.names(|column| column.shape.group().is_none(), |_| false)
    }

    /// The names of these covered columns, each with what follows from it; and of these others.
    fn names(&self, covered: impl Fn(&Column) -> bool, other: impl Fn(UncoveredKind) -> bool) -> Vec<&'static str> {
        let following = |name| {
            let following = self.uncovered.iter().filter(move |uncovered| uncovered.source() == Some(name));
            following.map(|uncovered| uncovered.name)
        };
        let covered = self.covered().filter(|column| covered(column)).map(|column| column.name);
        let others = self.uncovered.iter().filter(|uncovered| uncovered.source().is_none() && other(uncovered.kind));
        let others = others.map(|uncovered| uncovered.name);
        covered.flat_map(|name| std::iter::once(name).chain(following(name))).chain(others).collect()
    }
}
