//! The check of a configuration: all sections, each by its own file.

use super::{Config, Fault, Faults};

impl Config {
    /// Says every fault that a value alone does not show: what does not fit together.
    pub(super) fn check(&self, faults: &mut Faults) {
        self.data.check(faults);
        self.database.check(faults);
        self.server.check(faults);
        self.tokens.check(faults);
        self.sessions.check(faults);
        self.clients.check(faults);
        self.console.check(faults);
        self.gate.check(&self.server, &self.console, faults);
        self.passwords.check(faults);
        self.throttle.check(faults);
        self.alerts.check(faults);
        self.mail.check(faults);
        self.roles.check(faults);
        self.nodes.check(faults);
        self.retention.check(faults);
        self.shipping.check(faults);
    }

    /// Settings that are allowed but weaker than advised, each as one sentence: for `vigie config check`, `vigie doctor`,
    /// and the log of a start.
    #[must_use]
    pub fn weaknesses(&self) -> Vec<Fault> {
        let mut weak = Faults::default();
        self.server.weaknesses(&mut weak);
        self.gate.weaknesses(&self.server, &mut weak);
        self.database.weaknesses(&mut weak);
        self.tokens.weaknesses(&mut weak);
        self.sessions.weaknesses(&mut weak);
        self.passwords.weaknesses(&mut weak);
        self.throttle.weaknesses(&mut weak);
        self.shipping.weaknesses(&mut weak);
        weak.into_vec()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Config;
    use crate::config::support::{load, owned};

    #[test]
    fn the_defaults_are_valid_and_have_no_weakness() {
        let config = load(&[]).unwrap();
        assert_eq!(config.weaknesses(), vec![]);
        assert_eq!(config.issuer(), "http://127.0.0.1:8080");
    }

    #[test]
    fn the_configuration_for_production_is_as_advised() {
        let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/config/production.toml"));
        let url = "postgres://vigie:x@db.example.org/vigie?sslmode=verify-full";
        let config = Config::load(Some(file), owned(&[("DATABASE_URL", url)])).unwrap();
        assert_eq!(config.weaknesses(), []);
    }
}
