//! The judgement for programs: stable ids, numbers unrounded, times in seconds, shares between 0 and 1.

use murphy_verdict::Judgement;

/// Why a judgement has no JSON form; no judgement of this build is known to have none.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the judgement as JSON: {0}")]
pub struct JsonError(#[from] serde_json::Error);

/// The judgement as indented JSON, ended by a newline.
pub fn json(judgement: &Judgement) -> Result<String, JsonError> {
    let mut text = serde_json::to_string_pretty(judgement)?;
    text.push('\n');
    Ok(text)
}
