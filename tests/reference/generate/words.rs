//! The words of generated states: few, so that they collide.

/// Environments.
pub(super) const ENVIRONMENTS: [&str; 2] = ["prod", "dev"];
/// Names of groups; the first is that of everybody.
pub(super) const GROUPS: [&str; 4] = ["ALL_USERS", "Alpha", "Beta", "Gamma"];
/// Names of policies: few, as policies of several levels may bear one.
pub(super) const POLICIES: [&str; 3] = ["Mid", "Ant", "Zed"];
/// Names of boundaries.
pub(super) const BOUNDARIES: [&str; 3] = ["Narrow", "Edge", "Wall"];

/// Permissions that ship, and such as the account adds; those that follow each other share conditions.
pub(super) const PERMISSIONS: [&str; 14] = [
    "storage:logs:read",
    "storage:buckets:read",
    "storage:entities:read",
    "storage:spans:read",
    "settings:objects:read",
    "settings:schemas:read",
    "shop:orders:read",
    "shop:orders:write",
    "environment:roles:viewer",
    "environment:roles:manage-settings",
    "environment:roles:logviewer",
    "environment:roles:agent-install",
    "iam:effective-permissions:read",
    "iam:users:read",
];

/// What an account adds to the catalogue: permission, condition, operators, any-match mark. One condition is taken by
/// one permission with the mark and by another without, one by a single permission only, and one is added to a
/// permission that ships.
pub(super) const ADDITIONS: [(&str, &str, &str, bool); 6] = [
    ("shop:orders:read", "shop:region", "=,!=,IN,NOT IN,startsWith,NOT startsWith,MATCH", false),
    ("shop:orders:read", "shop:tag", "=,!=,IN,NOT IN,startsWith,NOT startsWith,MATCH", true),
    ("shop:orders:read", "shop:lane", "=,NOT IN", false),
    ("shop:orders:write", "shop:region", "=,IN", false),
    ("shop:orders:write", "shop:tag", "=,!=,IN,NOT IN,startsWith,NOT startsWith,MATCH", false),
    ("storage:logs:read", "shop:tag", "=,!=,IN,MATCH", true),
];

/// Conditions that states use, of those that ship and those that are added.
pub(super) const CONDITIONS: [&str; 12] = [
    "storage:bucket-name",
    "storage:dt.security_context",
    "storage:host.name",
    "storage:table-name",
    "storage:query-consumption",
    "settings:schemaId",
    "shared:app-id",
    "environment:management-zone",
    "shop:region",
    "shop:tag",
    "shop:lane",
    "iam-param:entity-type",
];

/// Values of a text condition, and of requests. Two of them look the same and are not (D11).
pub(super) const TEXTS: [&str; 12] =
    ["a", "b", "ab", "abc", "ba", "", "a*b", "*", "A", "\u{e9}", "e\u{301}", "q\"u\\o'te"];
/// Values of MATCH.
pub(super) const PATTERNS: [&str; 12] =
    ["a*", "*b", "a", "*", "a*b", "*b*", "", "**", "a*b*c", "\u{e9}*", "b*a", "*a*b*"];
/// Zones of time values, and of requests.
pub(super) const ZONES: [&str; 6] = ["Z", "+01:00", "-05:30", "+14:59", "-14:59", "+00:00"];
/// Days of `global:date`.
pub(super) const DATES: [&str; 5] = ["2026-03-02", "2026-03-01", "2026-03-03", "2024-02-29", "2026-12-31"];
/// Times of `global:time-of-day`.
pub(super) const CLOCK_TIMES: [&str; 6] = ["12:00", "09:00", "17:30:30", "00:00", "23:59:59", "06:15"];
/// Times of `global:date-time`, behind a date.
pub(super) const SECONDS: [&str; 5] = ["12:00:00", "00:00:00", "23:59:59.999999999", "06:15:30.5", "18:00:00"];
/// Days of `global:week-day`.
pub(super) const WEEK_DAYS: [&str; 4] = ["Monday", "Tuesday", "Sunday", "Saturday"];

/// Parameters by what they hold.
pub(super) const TEXT_PARAMETERS: [&str; 2] = ["p", "q"];
/// A date without its zone.
pub(super) const DATE_PARAMETER: &str = "day";
/// A name of a day.
pub(super) const WEEK_DAY_PARAMETER: &str = "weekday";
