//! How a try is written down: under the account's name, or under a mask where nobody has the name.

use chrono::{DateTime, Utc};

use super::Authentication;
use super::password::{Credentials, NOBODY};
use crate::credential::throttle::ThrottleKeys;
use crate::model::attempt::{Attempt, AttemptOutcome, mask};
use crate::model::audit::{AuditContext, AuditEvent, Details, Subject, SubjectKind};
use crate::model::folding::{fold, forms};
use crate::model::id::AttemptId;
use crate::model::session::Actor;
use crate::model::user::User;
use crate::store::throttles::ThrottleKey;
use crate::store::{Db, StoreError, attempts, audit, throttles, users};

impl Authentication {
    /// A try that failed.
    pub(super) fn attempt(
        &self,
        credentials: &Credentials,
        folded: &str,
        user: Option<&User>,
        outcome: AttemptOutcome,
        now: DateTime<Utc>,
    ) -> Attempt {
        let username = match user {
            Some(user) => user.username.as_str().to_owned(),
            None => self.masked(folded),
        };
        Attempt {
            id: AttemptId::new(now),
            at: now,
            username,
            user_id: user.map(|user| user.id),
            outcome,
            ip: credentials.client_info.ip,
            user_agent: credentials.client_info.user_agent.clone(),
            client: credentials.client.clone(),
            session_id: None,
            request_id: credentials.request_id.clone(),
        }
    }

    /// Records a failure, counts it, and looks for patterns.
    pub(super) async fn record_failure(
        &self,
        attempt: Attempt,
        name: String,
        keys: ThrottleKeys,
    ) -> Result<(), StoreError> {
        self.inner.dependencies.metrics.login(attempt.outcome.as_str());
        let authentication = self.clone();
        self.store()
            .write(move |db| {
                attempts::insert(db, &attempt)?;
                let account = authentication.account_of_failure(db, &attempt, &name, &keys)?;
                let counted = authentication.inner.throttle.count_failure(db, account, &keys, &attempt)?;
                authentication.inner.dependencies.alerts.look_for_patterns_in(db, &attempt, &counted)?;
                let Some(user_id) = attempt.user_id.filter(|_| counted.locked) else { return Ok(()) };
                let context = AuditContext {
                    actor: Actor::system("throttle"),
                    ip: Some(attempt.ip),
                    request_id: Some(attempt.request_id.clone()),
                    acting: None,
                };
                let subject = Subject::new(SubjectKind::User, user_id);
                audit::record(db, &AuditEvent::new(attempt.at, Details::UserLocked {}, &context, subject))
            })
            .await
    }

    /// What a failure is counted under: the account of the user whose password was looked at, as that user is called by now; or
    /// the name that nobody has. `None` where somebody has taken it since: nobody pays for tries from before. The same is asked
    /// whoever it is (D5-34).
    fn account_of_failure(
        &self,
        db: &mut Db,
        attempt: &Attempt,
        name: &str,
        keys: &ThrottleKeys,
    ) -> Result<Option<ThrottleKey>, StoreError> {
        // The user first: whoever renames one holds the row before the names.
        let is_user = attempt.user_id.is_some();
        let user = users::lock(db, attempt.user_id.unwrap_or(NOBODY))?.filter(|_| is_user);
        throttles::lock_names_shared(db)?;
        let having_name = users::having_name(db, name)?;
        let form = users::kept_form(db, attempt.user_id.unwrap_or(NOBODY))?;
        let digests = &self.inner.dependencies.keys.throttles;
        Ok(match (&user, attempt.user_id) {
            (Some(user), _) => Some(keys.of_account(digests, &form.unwrap_or_else(|| user.username.folded()))),
            // Where two have it but for the case, whoever types another case than theirs is neither.
            (None, None) if having_name.is_empty() => Some(digests.of_account(&fold(name))),
            (None, _) => None,
        })
    }

    /// A name that nobody has, as it is kept.
    fn masked(&self, folded: &str) -> String {
        mask(folded, &self.inner.dependencies.keys.unknown_name.digest(folded.as_bytes()))
    }

    /// The forms under which attempts with this name are kept: as it is, and masked, also as it was by earlier keys.
    #[must_use]
    pub fn attempt_names(&self, username: &str) -> Vec<String> {
        let (forms, keys) = (forms(username), &self.inner.dependencies.keys);
        let all = || std::iter::once(&keys.unknown_name).chain(&keys.earlier_unknown_names);
        let masked =
            |form: &String| all().map(|key| fold(&mask(form, &key.digest(form.as_bytes())))).collect::<Vec<_>>();
        forms.iter().flat_map(masked).chain(forms.clone()).collect()
    }
}
