//! Errors as `error.proto` documents them: the tests compare what comes over the wire with its comments.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use prost::Message as _;
use syncline_protocol::pb;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

pub use pb::ErrorReason as Reason;

const ERROR_PROTO: &str = include_str!("../../../proto/syncline/v1/error.proto");
/// What the details of an error may weigh.
const DETAILS_BYTES_MAX: usize = 4 * 1024;

/// What the comment of a reason says.
#[derive(Debug, Clone)]
pub struct Documented {
    /// The canonical code of calls that fail for it.
    pub code: Option<Code>,
    /// A later version will send it.
    pub is_to_come: bool,
    pub in_receipts: bool,
    /// A receipt with it is final.
    pub settles: bool,
    pub metadata: BTreeSet<String>,
}

/// All reasons with their comments, `UNSPECIFIED` left out.
pub fn all_documented() -> &'static BTreeMap<i32, (String, Documented)> {
    static ALL: OnceLock<BTreeMap<i32, (String, Documented)>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut all = BTreeMap::new();
        let mut comment = String::new();
        let (_, body) = ERROR_PROTO.split_once("enum ErrorReason {").expect("the enum");
        for line in body.lines().map(str::trim) {
            if let Some(text) = line.strip_prefix("// ") {
                comment = format!("{comment} {text}").trim().to_owned();
            } else if let Some((name, number)) = line.strip_suffix(';').and_then(|l| l.split_once(" = ")) {
                let comment = std::mem::take(&mut comment);
                let number: i32 = number.parse().expect("a number");
                if number != 0 {
                    let name = name.strip_prefix("ERROR_REASON_").expect("the prefix").to_owned();
                    all.insert(number, (name, read_comment(&comment)));
                }
            }
        }
        assert!(all.len() > 40, "only {} reasons were found", all.len());
        all
    })
}

fn read_comment(comment: &str) -> Documented {
    let (marks, text) =
        comment.strip_prefix('(').and_then(|c| c.split_once(')')).expect("marks in parentheses");
    let marks: Vec<&str> = marks.split(';').map(str::trim).collect();
    let code = marks.iter().find(|m| !m.starts_with("receipt")).map(|name| code_of(name));
    let metadata = text.split_once("Metadata: ").map(|(_, keys)| without_parentheses(keys));
    let metadata = metadata.unwrap_or_default();
    let metadata = metadata.split_once('.').map_or(metadata.as_str(), |(keys, _)| keys);
    Documented {
        code,
        is_to_come: text.contains("Not sent yet"),
        in_receipts: marks.iter().any(|m| m.starts_with("receipt")),
        settles: marks.contains(&"receipt"),
        metadata: metadata
            .split(',')
            .map(|key| key.trim().to_owned())
            .filter(|key| !key.is_empty())
            .collect(),
    }
}

/// A key may be followed by the values it takes.
fn without_parentheses(keys: &str) -> String {
    let mut plain = String::new();
    let mut depth = 0;
    for letter in keys.chars() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 => plain.push(letter),
            _ => {}
        }
    }
    plain
}

fn code_of(name: &str) -> Code {
    let all = (0..=16).map(Code::from_i32);
    let spelled = |code: &Code| {
        let mut text = String::new();
        for letter in format!("{code:?}").chars() {
            if letter.is_uppercase() && !text.is_empty() {
                text.push('_');
            }
            text.push(letter.to_ascii_uppercase());
        }
        text
    };
    all.into_iter().find(|code| spelled(code) == name).unwrap_or_else(|| panic!("no code is called {name}"))
}

/// What is documented of a reason.
pub fn documented(reason: Reason) -> Documented {
    all_documented()
        .get(&i32::from(reason))
        .unwrap_or_else(|| panic!("{reason:?} is not documented"))
        .1
        .clone()
}

/// An error as it came.
#[derive(Debug, Clone)]
pub struct Fault {
    pub code: Code,
    pub reason: String,
    pub metadata: BTreeMap<String, String>,
    /// Fields at fault, each with its own reason (empty for none).
    pub violations: Vec<(String, String)>,
    pub retries: bool,
}

/// Reads an error; it must have exactly one ErrorInfo of ours and stay small.
#[track_caller]
pub fn fault(status: &Status) -> Fault {
    let whole = tonic_types::Status::decode(status.details())
        .unwrap_or_else(|_| panic!("details that are no google.rpc.Status: {status:?}"));
    assert_eq!(whole.code, i32::from(status.code()), "the code within the details");
    let infos = whole.details.iter().filter(|any| any.type_url.ends_with("google.rpc.ErrorInfo")).count();
    assert_eq!(infos, 1, "exactly one ErrorInfo: {status:?}");
    assert!(status.details().len() < DETAILS_BYTES_MAX, "{} bytes of details", status.details().len());
    assert!(!status.message().is_empty(), "an error without a word");
    let details = status.get_error_details();
    let info = details.error_info().expect("an ErrorInfo");
    assert_eq!(info.domain, "syncline");
    let violations = details.bad_request().map(|b| b.field_violations.clone()).unwrap_or_default();
    Fault {
        code: status.code(),
        reason: info.reason.clone(),
        metadata: info.metadata.clone().into_iter().collect(),
        violations: violations.into_iter().map(|v| (v.field, v.reason)).collect(),
        retries: details.retry_info().is_some(),
    }
}

/// The call failed for this reason, exactly as documented: code, metadata, violations or a delay where apt.
#[track_caller]
pub fn fails<T: std::fmt::Debug>(result: Result<T, Status>, reason: Reason) -> Fault {
    let code =
        documented(reason).code.unwrap_or_else(|| panic!("{reason:?} is documented for receipts only"));
    fails_with(result, code, reason)
}

/// The same for a method that fails with the code of the refusal of the one operation it wrote.
#[track_caller]
pub fn fails_with<T: std::fmt::Debug>(result: Result<T, Status>, code: Code, reason: Reason) -> Fault {
    let status = match result {
        Err(status) => status,
        Ok(response) => panic!("succeeded: {response:?}"),
    };
    let fault = fault(&status);
    let (name, documented) = &all_documented()[&i32::from(reason)];
    assert_eq!((fault.code, &fault.reason), (code, name), "{}", status.message());
    let mut expected = documented.metadata.clone();
    if reason == Reason::InvalidRequest {
        assert!(fault.metadata.contains_key("field") || !fault.violations.is_empty(), "{status:?}");
        expected = fault.metadata.keys().cloned().collect();
    }
    assert_eq!(fault.metadata.keys().cloned().collect::<BTreeSet<_>>(), expected, "metadata of {name}");
    let retries = matches!(reason, Reason::Overloaded | Reason::StoreUnavailable | Reason::NotCaughtUp);
    assert_eq!(fault.retries, retries, "{name}: a retry delay where apt");
    fault
}

/// The fields a call was refused for.
#[track_caller]
pub fn fields_at_fault<T: std::fmt::Debug>(result: Result<T, Status>) -> Vec<String> {
    fails(result, Reason::InvalidRequest).violations.into_iter().map(|(field, _)| field).collect()
}
