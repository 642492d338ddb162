//! Every named limit of the language, of a request and of an administrative object, with its default.
//!
//! Sources: rules §7, reference ch. 15 row 24, ch. 5 and ch. 8.3. A value at the limit is accepted, one past it refused.

/// Bytes of a policy text.
pub const POLICY_TEXT_BYTES: usize = 64 * 1024;
/// Bytes of a boundary text.
pub const BOUNDARY_TEXT_BYTES: usize = 16 * 1024;
/// Statements of a policy.
pub const POLICY_STATEMENTS: usize = 100;
/// Permissions of one statement.
pub const STATEMENT_PERMISSIONS: usize = 100;
/// Conditions of one statement.
pub const STATEMENT_CONDITIONS: usize = 100;
/// Conditions of one boundary.
pub const BOUNDARY_CONDITIONS: usize = 10;
/// Values of one `IN`, `NOT IN` or `MATCH` list.
pub const LIST_VALUES: usize = 500;
/// Bytes of one value in a text, after unescaping, placeholders not counted.
pub const VALUE_BYTES: usize = 1_024;
/// Bytes of a value once its parameters are filled in.
pub const FILLED_VALUE_BYTES: usize = 4_096;
/// Bytes of a placeholder's name, and so of a parameter's.
pub const PARAMETER_NAME_BYTES: usize = 128;
/// Parameters of one binding.
pub const BINDING_PARAMETERS: usize = 64;
/// Bytes of a parameter's value.
pub const PARAMETER_VALUE_BYTES: usize = 1_024;
/// Boundaries of one binding.
pub const BINDING_BOUNDARIES: usize = 20;
/// Bindings of one group, of all its levels.
pub const GROUP_BINDINGS: usize = 10_000;
/// Boundaries of one account (reference ch. 4.1).
pub const ACCOUNT_BOUNDARIES: usize = 2_000;
/// Statements that one binding expands to: counted before equal ones are merged, without those that grant nothing.
pub const EXPANDED_STATEMENTS: usize = 10_000;
/// Metadata entries of one binding.
pub const BINDING_METADATA: usize = 64;
/// Diagnostics reported for one text; past it one more says how many were left out.
pub const DIAGNOSTICS: usize = 1_000;

/// Changes of one commit that its audit event tells; the others are counted.
pub const AUDITED_CHANGES: usize = 1_000;

/// Attributes of a request, those that the permission ignores included.
pub const REQUEST_ATTRIBUTES: usize = 256;
/// Values of one attribute of a request.
pub const ATTRIBUTE_VALUES: usize = 500;
/// Bytes of one attribute value of a request.
pub const ATTRIBUTE_VALUE_BYTES: usize = 4_096;
/// Bytes of an attribute's name.
pub const ATTRIBUTE_NAME_BYTES: usize = 1_024;
/// Names a request declares absent.
pub const REQUEST_ABSENT: usize = 10_000;
/// Bytes of a subject, a permission or an environment in a request.
pub const REQUEST_NAME_BYTES: usize = 1_024;

/// Characters of a name (group, policy, boundary, environment, account, user).
pub const NAME_CHARACTERS: usize = 255;
/// Bytes of an e-mail address.
pub const EMAIL_BYTES: usize = 320;
/// Characters of a description.
pub const DESCRIPTION_CHARACTERS: usize = 1_024;
/// Tags of a policy.
pub const POLICY_TAGS: usize = 100;
/// Groups of one user (reference ch. 8.3).
pub const USER_GROUPS: usize = 8_000;
/// Federated attribute values of one group.
pub const FEDERATED_VALUES: usize = 100;
/// Bytes of a request id of an administrative call.
pub const REQUEST_ID_BYTES: usize = 128;
/// Conditions of one catalogue entry.
pub const CATALOGUE_CONDITIONS: usize = 100;
/// Bytes of a permission's or a condition's name.
pub const CATALOGUE_NAME_BYTES: usize = 256;

/// Questions of a batch, and permissions of a `Resolve`.
pub const BATCH_ITEMS: usize = 1_000;
/// Calls that wait at once for a snapshot as fresh as they demand.
pub const WAITING_CALLS: usize = 4_096;
/// Services that a listing is limited to.
pub const LISTED_SERVICES: usize = 100;
/// Bytes of a residual: of its texts, and 32 more for each of its nodes and values.
pub const RESIDUAL_BYTES: usize = 1024 * 1024;
/// Users that one call of `WhoCan` looks at.
pub const WHO_CAN_USERS: usize = 10_000;
/// Statements that one explanation tells.
pub const EXPLAINED_STATEMENTS: usize = 1_000;
/// Bytes of the conditions that one explanation tells.
pub const EXPLAINED_BYTES: usize = 1024 * 1024;
/// Values of an attribute that an explanation repeats, for each condition.
pub const EXPLAINED_VALUES: usize = 20;
/// Bytes of a value that an explanation repeats.
pub const EXPLAINED_VALUE_BYTES: usize = 256;
/// Ways by which one permission reaches a user or a group that a listing tells.
pub const EFFECTIVE_SOURCES: usize = 1_000;
/// Bytes of the conditions that a listing tells for one permission.
pub const EFFECTIVE_BYTES: usize = 1024 * 1024;
