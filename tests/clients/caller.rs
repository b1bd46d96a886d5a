//! A script that is asked by lines: each call is an object of JSON, and each answer is `{"is": …}` or `{"failed": …}`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// A running script. It ends with its input.
pub struct Caller {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Caller {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the script starts");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { input: child.stdin.take(), output, child }
    }

    fn answer(&mut self, call: &Value) -> Value {
        writeln!(self.input.as_ref().expect("a pipe"), "{call}").expect("the script reads");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("text");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{call}: {error}: {line}"))
    }

    /// What a call returned.
    #[track_caller]
    pub fn ask(&mut self, call: &Value) -> Value {
        let answer = self.answer(call);
        assert!(answer.get("failed").is_none(), "{call}: {answer}");
        answer["is"].clone()
    }

    /// What the package said of a call that failed.
    #[track_caller]
    pub fn fails(&mut self, call: &Value) -> Value {
        let answer = self.answer(call);
        assert!(answer.get("is").is_none(), "{call}: {answer}");
        answer["failed"].clone()
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}
