//! For administrators and reviewers: everybody's sessions, attempts and events, accounts and applications.

pub mod alerts;
pub mod attempts;
pub mod audit;
pub mod clients;
pub mod filter_query;
mod filter_schema;
pub mod member;
pub mod not_before;
pub mod proof;
pub mod sessions;
pub mod stats;
pub mod throttles;
pub mod users;

use utoipa_actix_web::service_config::ServiceConfig;

/// Every route for administrators and reviewers. A fixed path stands before the `{id}` that would take it.
pub fn routes(routes: &mut ServiceConfig<'_>) {
    routes
        .service(sessions::find_sessions)
        .service(sessions::export_sessions)
        .service(sessions::end_sessions_matching)
        .service(sessions::look_up_session)
        .service(sessions::show_session)
        .service(sessions::end_any_session)
        .service(not_before::set_not_before)
        .service(attempts::find_attempts)
        .service(attempts::export_attempts)
        .service(audit::find_events)
        .service(audit::export_events)
        .service(proof::prove_consistency)
        .service(proof::prove_event)
        .service(stats::show_statistics)
        .service(users::list_users)
        .service(users::create_user)
        .service(users::show_user)
        .service(users::change_user)
        .service(users::delete_user)
        .service(users::erase_user)
        .service(users::end_sessions_of_user)
        .service(users::unlock_user)
        .service(users::issue_reset)
        .service(alerts::find_alerts)
        .service(alerts::show_alert)
        .service(alerts::acknowledge_alert)
        .service(throttles::list_throttles)
        .service(throttles::lift_throttle)
        .service(clients::list_clients)
        .service(clients::register_client)
        .service(clients::remove_client)
        .service(clients::rotate_client_secret);
}

#[cfg(test)]
mod tests {
    use actix_web::App;
    use serde_json::Value;
    use utoipa_actix_web::AppExt as _;

    use super::*;

    fn operations() -> Vec<(String, Value)> {
        let (_, document) = App::new().into_utoipa_app().configure(routes).split_for_parts();
        let document = serde_json::to_value(&document).unwrap();
        let paths = document["paths"].as_object().unwrap().clone();
        let of_path = |(path, item): (String, Value)| {
            let methods = item.as_object().unwrap().clone();
            methods.into_iter().map(move |(method, operation)| (format!("{method} {path}"), operation))
        };
        paths.into_iter().flat_map(of_path).collect()
    }

    #[test]
    fn every_route_asks_for_a_token_and_says_what_it_does() {
        let operations = operations();
        assert_eq!(operations.len(), 32);
        for (name, operation) in operations {
            assert_eq!(operation["security"][0]["bearer"], serde_json::json!([]), "{name}");
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{name}");
            for status in ["400", "401", "403", "503"] {
                let content = &operation["responses"][status]["content"];
                assert!(content["application/problem+json"].is_object(), "{name} {status}");
            }
        }
    }
}
