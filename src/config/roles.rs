//! `[roles]`: which roles may do what.

use super::faults::Faults;
use super::setting::{Text, section};
use crate::model::user::{InvalidRole, Role};

section! {
    /// `[roles]`
    pub struct Roles {
        pub admin: Vec<Role>,
        pub auditor: Vec<Role>,
    }
}

impl Roles {
    pub(super) fn check(&self, faults: &mut Faults) {
        faults.require(!self.admin.is_empty(), "roles.admin", "must name at least one role");
        // In the place of roles that are none stand the defaults, which nobody has named.
        let is_apart = faults.concern("roles.admin") || !self.auditor.iter().any(|role| self.admin.contains(role));
        faults.require(
            is_apart,
            "roles.auditor",
            "names a role of roles.admin, whose users may read the history anyway",
        );
    }
}

impl Text for Role {
    fn parse(text: &str) -> Result<Self, String> {
        let said = "each must be a role: 1 to 64 visible characters, and no white space at its ends";
        // One that looks like another may be what users have since before such were refused; `doctor` lists it.
        let read = Self::new(text).or_else(|error| match error {
            InvalidRole::Confusable => Self::parse(text),
            InvalidRole::Form => Err(error),
        });
        read.map_err(|_| said.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, InvalidConfig};

    #[test]
    fn roles_are_roles_and_in_one_list() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (roles, key) in [
            ("admin = [\"\"]", "roles.admin"),
            ("admin = [\"admin\", \" \"]", "roles.admin"),
            ("admin = [\" \"]\nauditor = [\"admin\"]", "roles.admin"),
            ("admin = []", "roles.admin"),
            ("auditor = [\"\"]", "roles.auditor"),
            ("auditor = [\"auditor \"]", "roles.auditor"),
            ("admin = [\"\\ufeffadmin\"]", "roles.admin"),
            ("admin = [\"ad\u{200b}min\"]", "roles.admin"),
            ("auditor = [\"auditor\u{2060}\"]", "roles.auditor"),
            ("auditor = [\"auditor\", \"admin\"]", "roles.auditor"),
        ] {
            std::fs::write(file.path(), format!("[roles]\n{roles}")).unwrap();
            let InvalidConfig(faults) = Config::load(Some(file.path()), []).unwrap_err();
            assert!(faults.len() == 1 && faults[0].key == key, "{roles}: {faults:?}");
        }
        std::fs::write(file.path(), "[roles]\nadmin = [\"chef de service\"]\nauditor = []").unwrap();
        assert!(Config::load(Some(file.path()), []).is_ok());
    }
}
