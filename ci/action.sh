#!/usr/bin/env bash
# One step of a pipeline: carries scenarios out, writes every report, tells the runner the verdict, and ends with the exit
# code of murphy. For GitHub and Gitea Actions (see action.yml); outside of them the GITHUB_ variables are not needed.
set -uo pipefail

scenarios=${MURPHY_SCENARIOS:?give scenario files or directories}
reports=${MURPHY_REPORTS:-murphy-reports}
murphy=${MURPHY_BINARY:-}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

if [ -z "$murphy" ]; then
  if command -v murphy >/dev/null; then
    murphy=murphy
  elif command -v cargo >/dev/null; then
    echo "::group::building murphy"
    cargo build --release --locked --quiet --manifest-path "$here/Cargo.toml" -p murphy || exit 3
    echo "::endgroup::"
    murphy=${CARGO_TARGET_DIR:-$here/target}/release/murphy
  else
    echo "::error title=Murphy::no murphy on the PATH, and no cargo to build it"
    exit 3
  fi
fi

mkdir -p "$reports" || exit 3
# Words are parted at blanks; a glob in a scenario's path is meant as one.
read -r -a extra <<<"${MURPHY_ARGS:-}"
# shellcheck disable=SC2206
files=($scenarios)
options=(--report-dir "$reports/runs" --junit "$reports/junit.xml" --html "$reports/report.html"
  --json "$reports/report.json" --markdown "$reports/summary.md" --inconclusive "${MURPHY_INCONCLUSIVE:-fail}")
[ -n "${MURPHY_ONLY:-}" ] && options+=(--only "$MURPHY_ONLY")
[ -n "${MURPHY_PROFILE:-}" ] && options+=(--profile "$MURPHY_PROFILE")
[ -n "${MURPHY_WITHIN:-}" ] && options+=(--within "$MURPHY_WITHIN")

rm -f "$reports"/{junit.xml,report.html,report.json,summary.md}
"$murphy" run "${options[@]}" ${extra[@]+"${extra[@]}"} "${files[@]}"
code=$?

case $code in
  0) verdict=graceful ;;
  1) verdict=not-graceful ;;
  2) verdict=usage ;;
  3) verdict=not-carried-out ;;
  4) verdict=inconclusive ;;
  5) verdict=not-reverted ;;
  *) verdict=interrupted ;;
esac
[ "$code" -eq 0 ] || echo "::error title=Murphy::$verdict (exit code $code); see the job summary, or $reports/report.html"
if [ -n "${GITHUB_STEP_SUMMARY:-}" ] && [ -f "$reports/summary.md" ]; then
  cat "$reports/summary.md" >>"$GITHUB_STEP_SUMMARY"
fi
if [ -n "${GITHUB_OUTPUT:-}" ]; then
  printf '%s\n' "verdict=$verdict" "exit-code=$code" "junit=$reports/junit.xml" "html=$reports/report.html" >>"$GITHUB_OUTPUT"
fi
exit "$code"
