//! The tables, as both databases have them. Written by hand: the columns use SQL types of ours.

use diesel::{allow_tables_to_appear_in_same_query, table};

table! {
    use diesel::sql_types::{BigInt, Binary, Nullable, Text};
    use crate::store::columns::{Identifier, Moment};

    users (id) {
        id -> Identifier,
        username -> Text,
        username_folded -> Text,
        role -> Text,
        state -> Text,
        password_hash -> Nullable<Text>,
        password_scheme -> Nullable<Text>,
        created_at -> Moment,
        password_changed_at -> Nullable<Moment>,
        email -> Nullable<Text>,
        version -> BigInt,
        salt -> Nullable<Binary>,
        must_change_password_since -> Nullable<Moment>,
    }
}

table! {
    use diesel::sql_types::{Binary, Nullable, Text};
    use crate::store::columns::{Identifier, Moment};

    one_time_tokens (digest) {
        digest -> Binary,
        purpose -> Text,
        user_id -> Nullable<Identifier>,
        created_at -> Moment,
        expires_at -> Moment,
        session_id -> Nullable<Identifier>,
    }
}

table! {
    use diesel::sql_types::{Binary, Integer, Nullable, Text};
    use crate::store::columns::{Identifier, Moment};

    sessions (id) {
        id -> Identifier,
        user_id -> Identifier,
        username -> Text,
        username_folded -> Text,
        role -> Text,
        client_id -> Nullable<Text>,
        device_name -> Nullable<Text>,
        ip -> Text,
        ip_key -> Binary,
        user_agent -> Nullable<Text>,
        browser -> Nullable<Text>,
        os -> Nullable<Text>,
        device_kind -> Nullable<Text>,
        methods -> Text,
        started_at -> Moment,
        last_seen_at -> Moment,
        last_ip -> Text,
        expires_at -> Moment,
        idle_expires_at -> Moment,
        token_id -> Identifier,
        token_issued_at -> Moment,
        token_expires_at -> Moment,
        refresh_generation -> Integer,
        refresh_seed -> Binary,
        refresh_spent_at -> Nullable<Moment>,
        ended_at -> Nullable<Moment>,
        end_reason -> Nullable<Text>,
        ended_by_kind -> Nullable<Text>,
        ended_by_id -> Nullable<Text>,
        end_note -> Nullable<Text>,
        address_proof -> Nullable<Binary>,
        person_proof -> Nullable<Binary>,
        valid_from_generation -> Integer,
        client_authentication -> Nullable<Text>,
        credential -> Nullable<Text>,
        name -> Nullable<Text>,
    }
}

table! {
    use crate::store::columns::{Identifier, Moment};

    access_tokens (id) {
        id -> Identifier,
        session_id -> Identifier,
        issued_at -> Moment,
        expires_at -> Moment,
    }
}

table! {
    use diesel::sql_types::{BigInt, Binary, Nullable, Text};
    use crate::store::columns::Moment;

    not_befores (scope, subject) {
        scope -> Text,
        subject -> Text,
        at -> Moment,
        set_at -> Moment,
        set_by_kind -> Text,
        set_by -> Text,
        note -> Nullable<Text>,
        version -> BigInt,
        salt -> Binary,
    }
}

table! {
    use diesel::sql_types::{Binary, Nullable, Text};
    use crate::store::columns::{Identifier, Moment};

    attempts (id) {
        id -> Identifier,
        at -> Moment,
        username -> Text,
        username_folded -> Text,
        user_id -> Nullable<Identifier>,
        outcome -> Text,
        ip -> Text,
        ip_key -> Binary,
        user_agent -> Nullable<Text>,
        client_id -> Nullable<Text>,
        session_id -> Nullable<Identifier>,
        request_id -> Text,
        address_proof -> Nullable<Binary>,
        person_proof -> Nullable<Binary>,
        client_authentication -> Nullable<Text>,
    }
}

table! {
    use diesel::sql_types::{Binary, Integer, Nullable, Text};
    use crate::store::columns::{Identifier, Moment};

    throttles (scope, subject) {
        scope -> Text,
        subject -> Binary,
        failures -> Integer,
        window_failures -> Integer,
        window_began_at -> Moment,
        last_failure_at -> Moment,
        closed_until -> Nullable<Moment>,
        user_id -> Nullable<Identifier>,
        masked_name -> Nullable<Text>,
        network -> Nullable<Text>,
    }
}

table! {
    use diesel::sql_types::{BigInt, Binary, Nullable, Text};
    use crate::store::columns::{Identifier, JsonObject, Moment};

    audit_events (seq) {
        seq -> BigInt,
        at -> Moment,
        kind -> Text,
        actor_kind -> Text,
        actor_id -> Text,
        subject_kind -> Text,
        subject_id -> Nullable<Text>,
        session_id -> Nullable<Identifier>,
        ip -> Nullable<Text>,
        request_id -> Nullable<Text>,
        details -> JsonObject,
        outcome -> Text,
        reason -> Nullable<Text>,
        address_proof -> Nullable<Binary>,
        person_proof -> Nullable<Binary>,
    }
}

table! {
    use diesel::sql_types::{Binary, Nullable, Text};
    use crate::store::columns::Moment;

    signing_keys (id) {
        id -> Text,
        algorithm -> Text,
        sealed -> Binary,
        created_at -> Moment,
        retired_at -> Nullable<Moment>,
        verify_until -> Nullable<Moment>,
        revoked_at -> Nullable<Moment>,
    }
}

table! {
    use diesel::sql_types::{BigInt, Binary, Nullable, Text};
    use crate::store::columns::Moment;

    clients (id) {
        id -> Text,
        name -> Text,
        scopes -> Text,
        secret_digest -> Binary,
        created_at -> Moment,
        secret_changed_at -> Moment,
        version -> BigInt,
        salt -> Binary,
        previous_secret_digest -> Nullable<Binary>,
        previous_secret_until -> Nullable<Moment>,
        audiences -> Nullable<Text>,
        jwks -> Nullable<Text>,
        last_used_at -> Nullable<Moment>,
    }
}

table! {
    use diesel::sql_types::Binary;
    use crate::store::columns::Moment;

    client_assertions (digest) {
        digest -> Binary,
        expires_at -> Moment,
    }
}

table! {
    use diesel::sql_types::{BigInt, Text};
    use crate::store::columns::Moment;

    changes (id) {
        id -> BigInt,
        seq -> BigInt,
        at -> Moment,
        kind -> Text,
        subject -> Text,
    }
}

table! {
    use diesel::sql_types::{BigInt, Integer, Text};

    change_head (id) {
        id -> Integer,
        seq -> BigInt,
        database -> Text,
    }
}

table! {
    use diesel::sql_types::{BigInt, Text};
    use crate::store::columns::{Identifier, Moment};

    nodes (id) {
        id -> Identifier,
        lease_no -> BigInt,
        applied_seq -> BigInt,
        address -> Text,
        started_at -> Moment,
        lease_ms -> BigInt,
        version -> Text,
    }
}

table! {
    use diesel::sql_types::{BigInt, Binary, Integer, Nullable, Text};
    use crate::store::columns::Moment;

    unsealed_records (id) {
        id -> BigInt,
        kind -> Text,
        subject -> Text,
        at -> Moment,
        digest -> Nullable<Binary>,
        form -> Integer,
    }
}

table! {
    use diesel::sql_types::{BigInt, Binary, Integer, Text};
    use crate::store::columns::Moment;

    sealed_records (position) {
        position -> BigInt,
        kind -> Text,
        subject -> Text,
        at -> Moment,
        digest -> Binary,
        chain_hash -> Binary,
        form -> Integer,
    }
}

table! {
    link_keys (number) {
        number -> Integer,
        first_position -> BigInt,
        mac -> Binary,
    }
}

table! {
    tree_hashes (place) {
        place -> BigInt,
        hash -> Binary,
    }
}

table! {
    chain_head (id) {
        id -> Integer,
        size -> BigInt,
        chain_hash -> Binary,
        peaks -> Binary,
    }
}

table! {
    chain_base (id) {
        id -> Integer,
        size -> BigInt,
        chain_hash -> Binary,
        peaks -> Binary,
    }
}

table! {
    use diesel::sql_types::{BigInt, Integer, Nullable, Text};
    use crate::store::columns::{Identifier, Moment};

    retention (id) {
        id -> Integer,
        claimed_by -> Nullable<Identifier>,
        claimed_until -> Nullable<Moment>,
        permit -> Nullable<Text>,
        before -> Nullable<Moment>,
        records_before -> Nullable<BigInt>,
        believed_at -> Nullable<Moment>,
        ran_at -> Nullable<Moment>,
    }
}

table! {
    use diesel::sql_types::{BigInt, Text};
    use crate::store::columns::Moment;

    checkpoints (size) {
        size -> BigInt,
        at -> Moment,
        note -> Text,
    }
}

table! {
    use diesel::sql_types::{Integer, Nullable, Text};
    use crate::store::columns::{Identifier, JsonObject, Moment};

    alerts (id) {
        id -> Identifier,
        kind -> Text,
        subject_kind -> Text,
        subject_id -> Nullable<Text>,
        user_id -> Nullable<Identifier>,
        session_id -> Nullable<Identifier>,
        ip -> Nullable<Text>,
        raised_at -> Moment,
        last_at -> Moment,
        occurrences -> Integer,
        details -> JsonObject,
        open_key -> Nullable<Text>,
        disowned_at -> Nullable<Moment>,
        acknowledged_at -> Nullable<Moment>,
        acknowledged_by -> Nullable<Text>,
        note -> Nullable<Text>,
    }
}

table! {
    use diesel::sql_types::{Integer, Nullable, Text};
    use crate::store::columns::{Identifier, Moment};

    deliveries (id) {
        id -> Identifier,
        alert_id -> Nullable<Identifier>,
        user_id -> Nullable<Identifier>,
        occasion -> Text,
        channel -> Text,
        recipient -> Nullable<Text>,
        created_at -> Moment,
        tries -> Integer,
        next_at -> Moment,
        delivered_at -> Nullable<Moment>,
        given_up_at -> Nullable<Moment>,
        last_fault -> Nullable<Text>,
        session_id -> Nullable<Identifier>,
    }
}

table! {
    use diesel::sql_types::{BigInt, Nullable, Text};
    use crate::store::columns::{Identifier, Moment};

    shipping_cursors (sink) {
        sink -> Text,
        position -> BigInt,
        checkpoint_size -> BigInt,
        claimed_by -> Nullable<Identifier>,
        claimed_until -> Nullable<Moment>,
    }
}

table! {
    use diesel::sql_types::{Binary, Nullable};
    use crate::store::columns::{Identifier, Moment};

    pending_erasures (user_id) {
        user_id -> Identifier,
        names -> Nullable<Binary>,
        asked_at -> Moment,
    }
}

table! {
    use diesel::sql_types::{BigInt, Binary, Text};
    use crate::store::columns::Moment;

    keyring (master) {
        master -> Text,
        number -> BigInt,
        sealed -> Binary,
        made_at -> Moment,
    }
}

table! {
    use diesel::sql_types::Text;
    use crate::store::columns::{Identifier, Moment};

    master_key_uses (process) {
        process -> Identifier,
        master -> Text,
        seen_at -> Moment,
    }
}

allow_tables_to_appear_in_same_query!(users, sessions, access_tokens);
allow_tables_to_appear_in_same_query!(users, throttles);
allow_tables_to_appear_in_same_query!(users, alerts);
allow_tables_to_appear_in_same_query!(sessions, alerts);
allow_tables_to_appear_in_same_query!(nodes, change_head);

table! {
    use diesel::sql_types::Binary;
    use crate::store::columns::{Identifier, Moment};

    devices (token_digest) {
        token_digest -> Binary,
        user_id -> Identifier,
        created_at -> Moment,
        last_used_at -> Moment,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use diesel::QueryDsl as _;
    use diesel::debug_query;
    use diesel::sqlite::Sqlite;

    use super::*;
    use crate::model::record::RecordKind;

    /// The names of all columns of a table.
    macro_rules! columns {
        ($table:ident) => {{
            let query = debug_query::<Sqlite, _>(&$table::table.select($table::all_columns)).to_string();
            let (columns, _) = query.split_once(" FROM ").expect("a query");
            // Each as `table`.`column`.
            let names = columns.split('`').skip(1).step_by(2).filter(|name| *name != stringify!($table));
            names.map(str::to_owned).collect::<BTreeSet<_>>()
        }};
    }

    /// A column that nobody says anything of is covered by no digest, granted to nobody and exported nowhere.
    #[test]
    fn every_column_of_what_is_recorded_has_its_line_in_the_description() {
        for kind in RecordKind::ALL {
            let columns = match kind {
                RecordKind::Event => columns!(audit_events),
                RecordKind::Attempt => columns!(attempts),
                RecordKind::SessionStarted | RecordKind::SessionEnded => columns!(sessions),
                RecordKind::User => columns!(users),
                RecordKind::Client => columns!(clients),
                RecordKind::NotBefore => columns!(not_befores),
            };
            let described: BTreeSet<String> = kind.table().columns().into_iter().map(str::to_owned).collect();
            assert_eq!(described, columns, "{kind}: `model::record::tables` or `store::schema`");
        }
    }
}
