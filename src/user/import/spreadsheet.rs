//! Users as a spreadsheet or a database writes them: a header that names the columns, then one user a row (RFC 4180). Comma,
//! semicolon or tab separates: the header tells.

use csv::{ByteRecord, ReaderBuilder};

use super::lines::{Counter, is_end};
use super::row::{Field, NOT_UTF_8, Row, Rows, known_fields};
use super::{ImportError, RefusedLine, quoting};

/// What may separate cells; the last of those that the header has equally often is meant.
const SEPARATORS: [u8; 3] = [b'\t', b';', b','];
/// A longer name is no name.
const LONGEST_NAME: usize = 40;
/// Columns that are none and are told one by one.
const MOST_TOLD: usize = 10;

/// The rows below the header, each with the line that it begins in. A fault of the header is told once.
pub(super) fn rows(text: &[u8]) -> Result<Rows, ImportError> {
    let mut lines = Counter::new(text);
    let separator = separator(text);
    let mut records = ReaderBuilder::new().delimiter(separator).has_headers(false).flexible(true).from_reader(text);
    let (mut record, mut columns, mut rows) = (ByteRecord::new(), None, Vec::new());
    while records.read_byte_record(&mut record).map_err(std::io::Error::from)? {
        let begin = record.position().map_or(0, csv::Position::byte);
        let line = lines.line_at(begin);
        let written = part(text, begin, records.position().byte());
        // As it stands in the file: in the cells, a misplaced quotation mark cannot be told from a proper one any more.
        let record = quoting::check(written, separator).map(|()| &record).map_err(str::to_owned);
        match &columns {
            None => columns = Some(record.and_then(header).map_err(|fault| refused(line, fault))?),
            // A spreadsheet leaves such rows where something stood once.
            Some(_) if record.as_ref().is_ok_and(|record| record.iter().all(<[u8]>::is_empty)) => {}
            Some(columns) => rows.push((line, record.and_then(|record| row(columns, record)))),
        }
    }
    Ok(rows)
}

/// The part of a text from one place to another.
fn part(text: &[u8], begin: u64, end: u64) -> &[u8] {
    let place = |place: u64| usize::try_from(place).unwrap_or(usize::MAX);
    text.get(place(begin)..place(end)).unwrap_or_default()
}

fn refused(line: u64, fault: String) -> ImportError {
    ImportError::Refused(vec![RefusedLine::new(line, fault)])
}

/// No column has a name with one of these in it, so the header tells which of them it is.
fn separator(text: &[u8]) -> u8 {
    let header = text.split(|byte| is_end(*byte)).find(|line| !line.is_empty()).unwrap_or_default();
    let count = |separator: &u8| header.split(|byte| byte == separator).count();
    SEPARATORS.into_iter().max_by_key(count).unwrap_or(b',')
}

/// The columns that the first row names, or all that is wrong with it.
fn header(record: &ByteRecord) -> Result<Vec<Field>, String> {
    let names: Vec<String> = record.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
    let columns: Vec<Option<Field>> = names.iter().map(|name| name.parse().ok()).collect();
    if columns.iter().all(Option::is_none) {
        // Nothing of it is repeated: without a header, the first line may hold a hash.
        return Err(format!("the first line must name the columns, of {}", known_fields()));
    }
    let times = |field: Field| columns.iter().filter(|column| **column == Some(field)).count();
    let twice = Field::ALL.iter().filter(|field| times(**field) > 1);
    let missing = Field::REQUIRED.iter().filter(|field| times(**field) == 0);
    let faults: Vec<String> = unknown(&names, &columns)
        .into_iter()
        .chain(twice.map(|field| format!("the column {field} is there more than once")))
        .chain(missing.map(|field| format!("the column {field} is missing")))
        .collect();
    if faults.is_empty() { Ok(columns.into_iter().flatten().collect()) } else { Err(faults.join("; ")) }
}

/// What is wrong with columns that are none: the first of them by name, the others by their number.
fn unknown(names: &[String], columns: &[Option<Field>]) -> Vec<String> {
    let unknown = names.iter().zip(columns).enumerate().filter(|(_, (_, column))| column.is_none());
    let further = unknown.clone().skip(MOST_TOLD).count();
    let further = (further > 0).then(|| format!("further columns that are none of these: {further}"));
    unknown.take(MOST_TOLD).map(|(place, (name, _))| not_a_column(place + 1, name)).chain(further).collect()
}

fn not_a_column(place: usize, name: &str) -> String {
    match name.chars().count() {
        0 => format!("column {place} has no name"),
        1..=LONGEST_NAME => format!("the column {name} is none of {}", known_fields()),
        _ => format!("column {place} is none of {}", known_fields()),
    }
}

fn row(columns: &[Field], record: &ByteRecord) -> Result<Row, String> {
    if record.len() != columns.len() {
        return Err(format!("cells: {}, where the header names {} columns", record.len(), columns.len()));
    }
    let mut row = Row::new();
    for (column, cell) in columns.iter().zip(record) {
        let cell = str::from_utf8(cell).map_err(|_| format!("{column}: {NOT_UTF_8}"))?;
        if !cell.is_empty() {
            row.insert(*column, cell.to_owned());
        }
    }
    Ok(row)
}
