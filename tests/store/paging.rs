//! A page of a list within a period, wherever it begins: inside the period, at its ends, or outside of it.

use chrono::{DateTime, TimeDelta};
use rstest::rstest;
use vigie::model::filter::{AttemptFilter, EventFilter, Moment, SessionFilter, Sort};
use vigie::model::folding::forms;
use vigie::store::{Db, Store, StoreError, attempts, audit, sessions};

use super::migrated;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::thousands::{BEGIN, Rows};

const ROWS: Rows = Rows { sessions: 40, attempts: 40, events: 40 };
/// More than there are.
const LIMIT: i64 = 1_000;

type Period = (Option<Moment>, Option<Moment>);

/// Reads a list within a period, or with `None` all of it; from its beginning, or after a place.
trait List {
    type Place: Copy + Send + 'static;
    fn read(db: &mut Db, sort: Sort, period: Option<Period>, after: Option<Self::Place>) -> Vec<(Self::Place, String)>;
}

struct Sessions;
struct Attempts;
struct Events;

impl List for Sessions {
    type Place = sessions::Position;

    fn read(db: &mut Db, sort: Sort, period: Option<Period>, after: Option<Self::Place>) -> Vec<(Self::Place, String)> {
        let (from, to) = period.unwrap_or_default();
        let filter = match sort {
            Sort::NewestStart | Sort::OldestStart => {
                SessionFilter { started_from: from, started_to: to, ..SessionFilter::default() }
            }
            Sort::LastSeen => SessionFilter { last_seen_from: from, last_seen_to: to, ..SessionFilter::default() },
        };
        let page = sessions::list(db, &filter, DateTime::UNIX_EPOCH, sort, after, LIMIT).unwrap();
        page.items.iter().map(|session| (sessions::Position::of(session, sort), session.id.to_string())).collect()
    }
}

impl List for Attempts {
    type Place = attempts::Position;

    fn read(db: &mut Db, _: Sort, period: Option<Period>, after: Option<Self::Place>) -> Vec<(Self::Place, String)> {
        let (from, to) = period.unwrap_or_default();
        let filter = AttemptFilter { from, to, ..AttemptFilter::default() };
        let page = attempts::list(db, &filter, &forms, after, LIMIT).unwrap();
        page.items.iter().map(|attempt| (attempts::Position::of(attempt), attempt.id.to_string())).collect()
    }
}

impl List for Events {
    type Place = audit::Position;

    fn read(db: &mut Db, _: Sort, period: Option<Period>, after: Option<Self::Place>) -> Vec<(Self::Place, String)> {
        let (from, to) = period.unwrap_or_default();
        let page = audit::list(db, &EventFilter { from, to, ..EventFilter::default() }, after, LIMIT).unwrap();
        page.items.iter().map(|event| (audit::Position::of(event), event.seq.to_string())).collect()
    }
}

/// Whatever place of the whole list a page begins after, it has those of the period that come after it.
async fn every_place_continues<L: List + 'static>(store: &Store, sort: Sort, period: Period) {
    let read = move |db: &mut Db| {
        let names = |rows: Vec<(L::Place, String)>| rows.into_iter().map(|(_, name)| name).collect::<Vec<_>>();
        let (all, within) = (L::read(db, sort, None, None), names(L::read(db, sort, Some(period), None)));
        assert!(within.len() > 5 && within.len() + 5 < all.len(), "{} of {}", within.len(), all.len());
        for (number, (place, _)) in all.iter().enumerate() {
            let after: Vec<String> = names(all[number + 1..].to_vec());
            let expected: Vec<&String> = within.iter().filter(|name| after.contains(name)).collect();
            let found = names(L::read(db, sort, Some(period), Some(*place)));
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "after {number}");
        }
        Ok::<_, StoreError>(())
    };
    store.read(read).await.unwrap();
}

#[rstest]
#[actix_web::test]
async fn a_page_within_a_period_goes_on_wherever_it_begins(#[values(Sqlite, Postgres)] backend: Backend) {
    let (store, database) = migrated(backend).await;
    database.fill(ROWS, false).await;
    let begin = DateTime::from_timestamp_micros(i64::try_from(BEGIN).unwrap()).unwrap();
    // The rows lie over some 58 days.
    let day = |days| Some(Moment(begin + TimeDelta::days(days)));
    for period in [(None, day(40)), (day(15), None), (day(15), day(40))] {
        for sort in [Sort::NewestStart, Sort::OldestStart, Sort::LastSeen] {
            every_place_continues::<Sessions>(&store, sort, period).await;
        }
        every_place_continues::<Attempts>(&store, Sort::default(), period).await;
        every_place_continues::<Events>(&store, Sort::default(), period).await;
    }
}
