//! The pages in real browsers. Each test is a script of this folder, which starts one browser and goes through many steps:
//! `scenario.mjs` runs them, `visitor.mjs` is somebody with a browser, `look.mjs` is what holds of every page. Pictures for
//! people are left in `target/browser-screenshots`.

mod gate;
mod scenarios;
mod script;
