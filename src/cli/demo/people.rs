//! The people of the demonstration, their devices, and where they work.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chrono::{DateTime, Utc};

use super::random::Random;
use crate::config::Roles;
use crate::model::id::UserId;
use crate::model::user::{PasswordHash, Role, User, UserState, Username};

/// The administrator who looks at the demonstration.
pub(super) const DEMO: &str = "demo";
/// How many people there are beside that one.
pub(super) const PEOPLE: usize = 60;
/// How far back the history goes.
pub(super) const WEEKS: i64 = 4;

const FIRST_NAMES: [&str; 20] = [
    "camille", "claire", "antoine", "sophie", "julien", "nadia", "thomas", "margaux", "karim", "elodie", "mathieu",
    "lucie", "olivier", "fatou", "nicolas", "helene", "bastien", "ines", "vincent", "aurelie",
];
const LAST_NAMES: [&str; 20] = [
    "moreau",
    "lefevre",
    "garnier",
    "benali",
    "rousseau",
    "faure",
    "girard",
    "mercier",
    "diallo",
    "chevalier",
    "perrin",
    "robin",
    "fontaine",
    "leroux",
    "caron",
    "dupuis",
    "vidal",
    "renaud",
    "brunet",
    "guerin",
];

const BROWSERS: [&str; 7] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 15; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
];

/// Sixty people. Everybody has the same password.
pub(super) fn cast(roles: &Roles, hash: &PasswordHash, begin: DateTime<Utc>) -> Vec<User> {
    let agent = role("agent");
    let admin = administrator(roles);
    let auditor = first_french(&roles.auditor).unwrap_or_else(|| role("auditeur"));
    let role_of = |number| match number {
        7 | 23 | 41 => &admin,
        11 | 37 => &auditor,
        _ => &agent,
    };
    (0..PEOPLE).map(|number| user(&name(number), role_of(number), hash, begin)).collect()
}

/// The administrator `demo`.
pub(super) fn demo(roles: &Roles, hash: &PasswordHash, now: DateTime<Utc>) -> User {
    user(DEMO, &administrator(roles), hash, now)
}

fn administrator(roles: &Roles) -> Role {
    first_french(&roles.admin).unwrap_or_else(|| role("admin"))
}

/// A user who has the password of the demonstration.
fn user(name: &str, role: &Role, hash: &PasswordHash, created_at: DateTime<Utc>) -> User {
    User {
        id: UserId::new(created_at),
        username: Username::parse(name).expect("the names of the demonstration are usernames: a test makes them all"),
        role: role.clone(),
        state: UserState::Active,
        password_hash: Some(hash.clone()),
        created_at,
        password_changed_at: None,
        must_change_password_since: None,
        email: None,
    }
}

/// `camille.moreau`, `claire.lefevre` and so on: every number another name.
pub(super) fn name(number: usize) -> String {
    let first = FIRST_NAMES[number % FIRST_NAMES.len()];
    let last = LAST_NAMES[(number + number / FIRST_NAMES.len() * 7) % LAST_NAMES.len()];
    format!("{first}.{last}")
}

/// The history is French, so where a role is configured in French and English the French word is taken.
fn first_french(configured: &[Role]) -> Option<Role> {
    let is_french = |role: &&Role| ["administrateur", "auditeur"].iter().any(|word| role.as_str().starts_with(word));
    configured.iter().find(is_french).or(configured.first()).cloned()
}

fn role(text: &str) -> Role {
    Role::parse(text).expect("the roles of the demonstration are roles: a test makes them all")
}

/// From where and with what somebody works, by habit.
#[derive(Debug, Clone)]
pub(super) struct Habits {
    /// The address at the office.
    pub office: IpAddr,
    /// The address at home or on the way.
    pub home: IpAddr,
    /// The browser at the desk.
    pub desk: &'static str,
    /// The browser on the way.
    pub phone: &'static str,
}

impl Habits {
    /// The habits of the person with this number. All addresses are those of documentation (RFC 5737, RFC 3849).
    pub(super) fn of(number: usize, random: &mut Random) -> Self {
        let host = u8::try_from(number % 200).unwrap_or(0) + 10;
        let home = if random.percent(40) {
            IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x51, u16::from(host), 0, 0, 0, u16::from(host) + 0x100))
        } else {
            IpAddr::V4(Ipv4Addr::new(203, 0, 113, host))
        };
        // Two sites, behind one address each for a few desks.
        let office = if number.is_multiple_of(3) {
            Ipv4Addr::new(198, 51, 100, 8 + host % 6)
        } else {
            Ipv4Addr::new(192, 0, 2, 16 + host % 40)
        };
        Self {
            office: IpAddr::V4(office),
            home,
            desk: random.one_of(&BROWSERS[..5]),
            phone: random.one_of(&BROWSERS[5..]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn everybody_has_a_name_of_their_own_and_a_role_that_counts() {
        let roles = Roles {
            admin: vec![role("admin"), role("administrateur")],
            auditor: vec![role("auditor"), role("auditeur")],
        };
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let hash = PasswordHash("x".into());
        let mut cast = cast(&roles, &hash, now);
        cast.push(demo(&roles, &hash, now));
        let names: HashSet<String> = cast.iter().map(|user| user.username.folded()).collect();
        assert_eq!((cast.len(), names.len()), (PEOPLE + 1, PEOPLE + 1));
        let having = |role: &str| cast.iter().filter(|user| user.role.as_str() == role).count();
        assert_eq!((having("administrateur"), having("auditeur"), having("agent")), (4, 2, 55));
    }

    #[test]
    fn the_usual_browsers_are_recognised() {
        for browser in BROWSERS {
            assert!(crate::model::device::device(Some(browser)).browser.is_some(), "{browser}");
        }
    }
}
