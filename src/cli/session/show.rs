//! `vigie session show`: one session with its timeline and the user's other sessions.

use serde_json::json;

use super::device;
use super::list::table;
use crate::app::App;
use crate::cli::outcome::{Failure, Outcome};
use crate::cli::output::Output;
use crate::cli::table::{Table, facts, moment};
use crate::model::audit::AuditContext;
use crate::model::id::SessionId;
use crate::view::{EventObject, SessionObject, TokenObject};

pub(super) async fn run(id: SessionId, as_json: bool, app: &App, output: &mut Output) -> Outcome {
    let found = app.history.session(id, &AuditContext::command_line()).await?;
    let found = found.ok_or_else(|| Failure::saying(format_args!("there is no session {id}")))?;
    let now = app.clock.now();
    let session = SessionObject::new(&found.session, now);
    let timeline: Vec<EventObject> = found.timeline.iter().map(EventObject::from).collect();
    let siblings: Vec<SessionObject> = found.siblings.iter().map(|one| SessionObject::new(one, now)).collect();
    if as_json {
        return output.json(&json!({ "session": session, "timeline": timeline, "siblings": siblings }));
    }
    show(&session, output)?;
    output.line("")?;
    events(&timeline).write(output)?;
    if !siblings.is_empty() {
        output.line("\nOther sessions of the user")?;
        table(&siblings).write(output)?;
    }
    Ok(())
}

fn show(session: &SessionObject, output: &mut Output) -> Outcome {
    let token = |shown: fn(&TokenObject) -> String| session.token.as_ref().map(shown).unwrap_or_default();
    let by = session.ended_by.as_ref().map(|by| format!("{} {}", by.kind, by.id)).unwrap_or_default();
    facts(
        output,
        &[
            ("id", &session.id.to_string()),
            ("user", &format!("{} ({})", session.user.username, session.user.id)),
            ("role", session.user.role),
            ("state", session.state),
            ("started at", &session.started_at),
            ("last seen at", &session.last_seen_at),
            ("expires at", &session.expires_at),
            ("idle until", &session.idle_expires_at),
            ("ended at", session.ended_at.as_deref().unwrap_or_default()),
            ("end reason", session.end_reason.unwrap_or_default()),
            ("ended by", &by),
            ("note", session.note.as_deref().unwrap_or_default()),
            ("ip", &session.ip),
            ("last ip", &session.last_ip),
            ("device", &device(session)),
            ("device name", session.device_name.unwrap_or_default()),
            ("name", session.name.unwrap_or_default()),
            ("user agent", session.user_agent.unwrap_or_default()),
            ("client", session.client_id.unwrap_or_default()),
            ("claimed client", session.claimed_client_id.unwrap_or_default()),
            ("proved by", &session.amr.join(" ")),
            ("token", &token(|token| token.jti.to_string())),
            ("token expires at", &token(|token| token.expires_at.to_string())),
            ("refreshes", &token(|token| token.refreshes.to_string())),
        ],
    )
}

fn events(timeline: &[EventObject]) -> Table {
    let mut table = Table::new(&["at (utc)", "what", "by", "ip", "details"]);
    for event in timeline {
        let by = format!("{} {}", event.actor.kind, event.actor.id);
        let ip = event.ip.as_deref().unwrap_or_default();
        table.row([&moment(&event.at), event.kind, &by, ip, &event.details.to_string()]);
    }
    table
}
