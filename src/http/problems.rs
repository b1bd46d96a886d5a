//! Which problems a route may answer with, for the OpenAPI document. A route names the sets that apply to it.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

/// Defines sets of problems: status and when.
macro_rules! problems {
    ($($(#[$meta:meta])* $name:ident { $($status:literal => $when:literal,)+ })+) => {
        $(
            $(#[$meta])*
            #[derive(Debug)]
            pub struct $name;

            impl IntoResponses for $name {
                fn responses() -> BTreeMap<String, RefOr<Response>> {
                    BTreeMap::from([$(($status.to_owned(), problem($when)),)+])
                }
            }
        )+
    };
}

problems! {
    /// What every route that asks for a token may answer.
    CallerRefused {
        "400" => "Malformed request: two credentials at once, a cursor of another list, a body that is not JSON.",
        "401" => "No credential, or none that is accepted; or the action asks for a recent login.",
        "503" => "The store or a limit; nothing was decided.",
    }
    /// What every route that takes a secret in its body may answer.
    SecretRefused {
        "400" => "Malformed request: a body that is not JSON.",
        "401" => "The secret is not accepted.",
        "429" => "Too many failed attempts.",
        "503" => "The store or a limit; nothing was decided.",
    }
    /// What every route for administrators and reviewers may answer.
    Refused {
        "400" => "Malformed request: two credentials at once, a cursor of another list, a body that is not JSON.",
        "401" => "No credential, or none that is accepted; or the action asks for a recent login.",
        "403" => "The caller's role does not allow this; or somebody else chose the caller's password: it is to be changed first.",
        "503" => "The store or a limit; nothing was decided.",
    }
    /// What every route but a few answers to whoever has a password that somebody else chose.
    PasswordChangeFirst {
        "403" => "Somebody else chose the user's password: it is to be changed first.",
    }
    /// What every page with a form may answer.
    PageRefused {
        "400" => "Malformed request: a form that is not UTF-8.",
        "503" => "The store or a limit; nothing was decided.",
    }
    /// What a document that anybody may read may answer, where it says what the store knows.
    Unanswered {
        "503" => "The store or a limit; nothing was decided.",
    }
    /// Members of the query do not fit.
    BadQuery {
        "422" => "Members of the query do not fit.",
    }
    /// The body does not fit.
    BadBody {
        "408" => "The body did not arrive in time.",
        "413" => "The body is larger than 64 KiB.",
        "415" => "The body is of another media type by its own word.",
        "422" => "Members of the body do not fit.",
    }
    /// What the path names is not there.
    NotFound {
        "404" => "There is nothing of this name.",
    }
    /// Something else is in the way.
    Conflict {
        "409" => "The name is taken, or it is the last active administrator.",
    }
}

fn problem(when: &str) -> RefOr<Response> {
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(when).content("application/problem+json", body).build().into()
}
