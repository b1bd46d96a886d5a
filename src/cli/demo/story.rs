//! What happens in the demonstration: who logs in when and from where, how it ends, and who tries in vain. Pure: `play` does it.

use std::net::{IpAddr, Ipv4Addr};

use chrono::{DateTime, Datelike as _, NaiveTime, TimeDelta, Utc};

use super::people::{self, Habits, WEEKS};
use super::random::Random;
use crate::config::Config;
use crate::model::session::ClientInfo;

/// Of a hundred working days of a person, on so many there is a login.
const DILIGENCE: u64 = 20;
/// Sessions that are active at the end.
const ACTIVE: usize = 14;
/// The one who is disabled, some days before the end.
const LEAVES: usize = 19;
/// The one on whose account somebody tries passwords at the end.
const UNDER_ATTACK: usize = 30;

/// A deed and its moment.
pub(super) struct Step {
    pub at: DateTime<Utc>,
    pub deed: Deed,
}

/// What somebody does. People are numbered as [`people::name`] does, visits in the order of their planning.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Deed {
    /// A person logs in, which begins a visit.
    LogIn { visit: usize, person: usize, client_info: ClientInfo, by_portal: bool },
    /// Somebody tries a wrong password on a name.
    Guess { name: String, client_info: ClientInfo },
    /// The session of a visit goes on.
    Refresh { visit: usize },
    /// The session of a visit ends.
    Leave { visit: usize, how: Leave },
    /// An administrator disables an account.
    Disable { person: usize },
    /// The server records the ends that have come.
    RecordEnds,
    /// The server seals and signs the history.
    Sign,
}

/// How a visit ends, where it is not just left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    LogOut,
    LogOutEverywhere,
    EndFromList,
    ByAdministrator,
    /// Somebody else has copied a refresh token, and uses it.
    Stolen,
}

/// The moments that plans keep to.
struct Rules {
    begin: DateTime<Utc>,
    now: DateTime<Utc>,
    /// Sooner than a session is idle for too long.
    pause: TimeDelta,
}

/// Steps, as they are planned.
struct Plan {
    rules: Rules,
    random: Random,
    steps: Vec<Step>,
    visits: usize,
}

/// The history of some weeks until `now`, in its order.
pub(super) fn invent(config: &Config, now: DateTime<Utc>) -> Vec<Step> {
    let idle = TimeDelta::from_std(config.sessions.idle_timeout).unwrap_or(TimeDelta::minutes(30));
    let rules = Rules { begin: now - TimeDelta::weeks(WEEKS), now, pause: idle * 4 / 5 };
    let mut plan = Plan { rules, random: Random::repeatable(), steps: Vec::new(), visits: 0 };
    let habits: Vec<Habits> = (0..people::PEOPLE).map(|number| Habits::of(number, &mut plan.random)).collect();
    for day in 0..WEEKS * 7 {
        plan.day(&habits, day);
    }
    plan.step(now - TimeDelta::days(3), Deed::Disable { person: LEAVES });
    plan.spray(now - TimeDelta::days(6));
    plan.lucky_guess(&habits[12], now - TimeDelta::days(2));
    plan.present(&habits);
    plan.attack();
    let mut steps = plan.steps;
    steps.retain(|step| step.at > now - TimeDelta::weeks(WEEKS) && step.at <= now);
    steps.sort_by_key(|step| step.at);
    steps
}

impl Plan {
    fn step(&mut self, at: DateTime<Utc>, deed: Deed) {
        self.steps.push(Step { at, deed });
    }

    /// One day: many work from Monday to Friday, a few on Saturdays. The server looks after its sessions by the hour.
    fn day(&mut self, habits: &[Habits], day: i64) {
        let day = self.rules.begin + TimeDelta::days(day);
        let midnight = day.date_naive().and_time(NaiveTime::MIN).and_utc();
        let chance = match day.weekday().number_from_monday() {
            1..=5 => DILIGENCE,
            6 => 3,
            _ => 1,
        };
        for (person, habits) in habits.iter().enumerate() {
            if self.random.percent(chance) {
                let at = midnight + self.random.between(TimeDelta::hours(7), TimeDelta::hours(16));
                self.visit(person, habits, at);
            }
        }
        for hour in 7..=22 {
            self.step(midnight + TimeDelta::hours(hour), Deed::RecordEnds);
        }
        self.step(midnight + TimeDelta::hours(23), Deed::Sign);
    }

    /// Somebody logs in, perhaps at the second try, works, and leaves in one of the usual ways, or just goes.
    fn visit(&mut self, person: usize, habits: &Habits, at: DateTime<Utc>) {
        let until = at + self.random.between(TimeDelta::minutes(2), TimeDelta::minutes(100));
        // Those who are there at the end come by themselves.
        if until + TimeDelta::hours(1) > self.rules.now {
            return;
        }
        let client_info = self.client_info(habits);
        if self.random.percent(12) {
            let before = at - self.random.between(TimeDelta::seconds(6), TimeDelta::seconds(40));
            self.step(before, Deed::Guess { name: people::name(person), client_info: client_info.clone() });
        }
        let visit = self.stay(person, client_info, at, until);
        if let Some(how) = self.way_out() {
            let at = until + if how == Leave::Stolen { TimeDelta::minutes(3) } else { TimeDelta::milliseconds(350) };
            self.step(at, Deed::Leave { visit, how });
        }
    }

    fn way_out(&mut self) -> Option<Leave> {
        match self.random.below(100) {
            0..55 => Some(Leave::LogOut),
            55..59 => Some(Leave::LogOutEverywhere),
            59..63 => Some(Leave::EndFromList),
            63..67 => Some(Leave::ByAdministrator),
            67..70 => Some(Leave::Stolen),
            _ => None,
        }
    }

    /// Logs in, and keeps the session going until the moment of its last use.
    fn stay(&mut self, person: usize, client_info: ClientInfo, at: DateTime<Utc>, until: DateTime<Utc>) -> usize {
        let visit = self.visits;
        self.visits += 1;
        let by_portal = self.random.percent(40);
        self.step(at, Deed::LogIn { visit, person, client_info, by_portal });
        let mut next = at + self.rules.pause;
        while next < until {
            self.step(next, Deed::Refresh { visit });
            next += self.rules.pause;
        }
        self.step(until, Deed::Refresh { visit });
        visit
    }

    /// A desk most of the time, a phone now and then; from home on some days.
    fn client_info(&mut self, habits: &Habits) -> ClientInfo {
        let agent = if self.random.percent(80) { habits.desk } else { habits.phone };
        let ip = if self.random.percent(75) { habits.office } else { habits.home };
        ClientInfo { ip, user_agent: Some(agent.to_owned()) }
    }

    /// One night somebody tries a few passwords on many names, is slowed down, and gives up.
    fn spray(&mut self, day: DateTime<Utc>) {
        let guesses = ["root", "administrator", "test", "accueil", "stagiaire"];
        let mut at = day.date_naive().and_time(NaiveTime::MIN).and_utc() + TimeDelta::minutes(3 * 60 + 12);
        for number in 0..42_usize {
            at += self.random.between(TimeDelta::milliseconds(900), TimeDelta::milliseconds(4200));
            let name = match number % 4 {
                3 => guesses[number % guesses.len()].to_owned(),
                _ => people::name((number * 5 + 2) % people::PEOPLE),
            };
            self.step(at, Deed::Guess { name, client_info: stranger(201) });
        }
    }

    /// Somebody logs in after some failures: that may have been the person, or not.
    fn lucky_guess(&mut self, habits: &Habits, at: DateTime<Utc>) {
        let client_info = self.client_info(habits);
        for number in 0..4 {
            let at = at + TimeDelta::seconds(number * 9);
            self.step(at, Deed::Guess { name: people::name(12), client_info: client_info.clone() });
        }
        self.stay(12, client_info, at + TimeDelta::minutes(1), at + TimeDelta::minutes(20));
    }

    /// Who is at work this moment, whatever the hour: the list of active sessions is not empty.
    fn present(&mut self, habits: &[Habits]) {
        let active = habits.iter().enumerate().filter(|(person, _)| *person != LEAVES);
        for (person, habits) in active.step_by(4).take(ACTIVE) {
            let until = self.rules.now - self.random.between(TimeDelta::seconds(5), TimeDelta::minutes(10));
            let at = until - self.random.between(TimeDelta::minutes(1), TimeDelta::minutes(90));
            let client_info = self.client_info(habits);
            self.stay(person, client_info, at, until);
        }
    }

    /// Somebody tries passwords on one account just now, each time as soon as it opens: it is throttled at the end.
    fn attack(&mut self) {
        for seconds in [1020, 1015, 1010, 1005, 1000, 995, 920, 790, 540, 50] {
            let at = self.rules.now - TimeDelta::seconds(seconds);
            self.step(at, Deed::Guess { name: people::name(UNDER_ATTACK), client_info: stranger(77) });
        }
    }
}

/// An address of documentation (RFC 5737) that nobody of the house uses, and a program.
pub(super) fn stranger(host: u8) -> ClientInfo {
    let ip = IpAddr::V4(Ipv4Addr::new(198, 51, 100, host));
    ClientInfo { ip, user_agent: Some("python-requests/2.32.3".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_is_some_hundred_visits_in_their_order_and_before_now() {
        let config = Config::load(None, []).unwrap();
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let steps = invent(&config, now);
        let count = |is: fn(&Deed) -> bool| steps.iter().filter(|step| is(&step.deed)).count();
        assert!((150..400).contains(&count(|deed| matches!(deed, Deed::LogIn { .. }))));
        assert!(count(|deed| matches!(deed, Deed::Guess { .. })) > 60);
        for how in [Leave::LogOut, Leave::LogOutEverywhere, Leave::EndFromList, Leave::ByAdministrator, Leave::Stolen] {
            assert!(steps.iter().any(|step| matches!(step.deed, Deed::Leave { how: found, .. } if found == how)));
        }
        assert!(steps.is_sorted_by_key(|step| step.at));
        assert!(steps.iter().all(|step| step.at > now - TimeDelta::weeks(WEEKS) && step.at <= now));
    }
}
