//! Does what the story tells, by the operations that requests and commands use, with a clock that is put to each moment.

use std::collections::HashMap;

use secrecy::SecretString;

use super::story::{Deed, Leave, Step};
use crate::app::App;
use crate::authentication::password::{AuthenticationError, Credentials};
use crate::cli::outcome::Outcome;
use crate::clock::{Clock as _, ManualClock};
use crate::model::audit::AuditContext;
use crate::model::client::{ClientId, LoginClient};
use crate::model::id::{RequestId, SessionId, UserId};
use crate::model::session::{Actor, ClientInfo, EndReason};
use crate::model::user::{User, UserState};
use crate::session::check::CheckError;
use crate::session::issue::Issued;
use crate::session::refresh::RefreshError;
use crate::session::start::LoginError;
use crate::user::change::UserChange;

/// A password that no user of the demonstration has, for attempts that fail.
const WRONG: &str = "azerty azerty azerty";

/// Who plays, where, and what is open.
pub(super) struct Player<'a> {
    pub app: &'a App,
    pub clock: &'a ManualClock,
    /// The password of everybody in the demonstration.
    pub password: &'a str,
    pub people: &'a [User],
    /// The application that some log in by.
    pub portal: &'a ClientId,
    pub visits: HashMap<usize, Visit>,
}

/// A visit that has begun.
pub(super) struct Visit {
    client_info: ClientInfo,
    session: SessionId,
    user: UserId,
    refresh_token: String,
    /// The refresh token before that.
    spent: String,
}

impl Player<'_> {
    /// Does these steps, each at its moment.
    pub(super) async fn play(mut self, steps: Vec<Step>) -> Outcome {
        for Step { at, deed } in steps {
            self.clock.set(at);
            self.perform(deed).await?;
        }
        Ok(())
    }

    async fn perform(&mut self, deed: Deed) -> Outcome {
        let people = self.people;
        match deed {
            Deed::LogIn { visit, person, client_info, by_portal } => {
                self.log_in(visit, &people[person], client_info, by_portal).await
            }
            Deed::Guess { name, client_info } => {
                let credentials = self.credentials(&name, WRONG, client_info, None);
                self.try_log_in(credentials).await.map(drop)
            }
            Deed::Refresh { visit } => self.refresh(visit).await,
            Deed::Leave { visit, how } => match self.visits.remove(&visit) {
                Some(visit) => self.leave(&visit, how).await,
                None => Ok(()),
            },
            Deed::Disable { person } => {
                let change = UserChange { state: Some(UserState::Disabled), ..UserChange::default() };
                Ok(self.app.users.change(people[person].id, change, &AuditContext::command_line()).await.map(drop)?)
            }
            Deed::RecordEnds => Ok(self.app.sessions.record_expired().await.map(drop)?),
            Deed::Sign => {
                self.app.maintenance.seal().await?;
                Ok(self.app.maintenance.checkpoint().await?)
            }
        }
    }

    async fn log_in(&mut self, visit: usize, user: &User, client_info: ClientInfo, by_portal: bool) -> Outcome {
        let client = by_portal.then(|| self.portal.clone());
        let credentials = self.credentials(user.username.as_str(), self.password, client_info.clone(), client);
        if let Some(issued) = self.try_log_in(credentials).await? {
            let refresh_token = issued.refresh_token.reveal();
            let (session, user, spent) = (issued.session.id, user.id, refresh_token.clone());
            self.visits.insert(visit, Visit { client_info, session, user, refresh_token, spent });
        }
        Ok(())
    }

    /// `None` where it is refused: that belongs to the story.
    async fn try_log_in(&self, credentials: Credentials) -> Outcome<Option<Issued>> {
        match self.app.sessions.log_in(credentials, None).await {
            Ok(logged_in) => Ok(Some(logged_in.issued)),
            Err(LoginError::Authentication(
                AuthenticationError::InvalidCredentials | AuthenticationError::Throttled(_),
            )) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn credentials(
        &self,
        name: &str,
        password: &str,
        client_info: ClientInfo,
        client: Option<ClientId>,
    ) -> Credentials {
        Credentials {
            username: name.to_owned(),
            password: SecretString::from(password),
            client_info,
            client: LoginClient::of(client, true),
            device: None,
            system: None,
            request_id: self.request_id(),
        }
    }

    /// A session that was ended from elsewhere goes on no more.
    async fn refresh(&mut self, visit: usize) -> Outcome {
        let (request_id, portal) = (self.request_id(), Some(self.portal.clone()));
        let Some(open) = self.visits.get_mut(&visit) else { return Ok(()) };
        match self.app.sessions.refresh(&open.refresh_token, portal, &open.client_info, &request_id).await {
            Ok(issued) => {
                open.spent = std::mem::replace(&mut open.refresh_token, issued.refresh_token.reveal());
                Ok(())
            }
            Err(RefreshError::Ended(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn leave(&self, visit: &Visit, how: Leave) -> Outcome {
        let sessions = &self.app.sessions;
        let ip = visit.client_info.ip;
        let context = |actor| AuditContext { actor, ip: Some(ip), request_id: Some(self.request_id()), acting: None };
        let own = context(Actor::user(visit.user));
        match how {
            Leave::LogOut => {
                let done = sessions.logout_by_refresh_token(&visit.refresh_token, context).await;
                if let Err(CheckError::Store(error)) = done {
                    return Err(error.into());
                }
            }
            Leave::LogOutEverywhere => {
                sessions.end_of_user(visit.user, None, EndReason::LogoutAll, None, &own).await?;
            }
            Leave::EndFromList => {
                sessions.end_own(visit.user, visit.session, &own).await?;
            }
            Leave::ByAdministrator => {
                let note = Some("poste laissé ouvert".to_owned());
                sessions.end(visit.session, EndReason::EndedByAdmin, note, &AuditContext::command_line()).await?;
            }
            Leave::Stolen => {
                let (portal, stranger) = (Some(self.portal.clone()), super::story::stranger(140));
                match sessions.refresh(&visit.spent, portal, &stranger, &self.request_id()).await {
                    Ok(_) | Err(RefreshError::Ended(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    fn request_id(&self) -> String {
        RequestId::new(self.clock.now()).to_string()
    }
}
