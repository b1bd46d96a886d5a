//! What the standards ask, shown over HTTP; the ids are those of `docs/requirements.md`.

mod jwt;
