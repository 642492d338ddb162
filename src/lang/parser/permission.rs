//! The permissions of a statement.

use super::keyword::Keyword;
use super::{Parser, TokenKind};
use crate::lang::diag::excerpt;
use crate::lang::lexer::Token;
use crate::lang::span::Spanned;
use crate::model::catalogue::PermissionName;
use crate::model::limits;

const FORM: &str = "A permission is written `service:resource:action`.";

/// What stands behind a permission.
enum Behind {
    /// Another permission.
    Permission,
    /// The end of the list.
    End,
    /// A condition whose WHERE was forgotten.
    Condition,
}

impl Parser<'_> {
    /// Reads a list of permissions; true with it where conditions follow without their WHERE.
    pub(super) fn permissions(&mut self) -> (Vec<Spanned<PermissionName>>, bool) {
        let mut permissions = Vec::new();
        let where_follows = loop {
            let permission = self.permission();
            let clean = permission.is_some();
            permissions.extend(permission);
            match self.behind_permission(clean) {
                Behind::Permission => {}
                Behind::End => break false,
                Behind::Condition => break true,
            }
        };
        let (limit, names) = (limits::STATEMENT_PERMISSIONS, ("statement", "permissions"));
        self.limit(&mut permissions, limit, "too_many_permissions", names);
        (permissions, where_follows)
    }

    fn permission(&mut self) -> Option<Spanned<PermissionName>> {
        while self.peek().kind == TokenKind::Open {
            self.expected("permission_expected", "a permission", "Permissions stand without parentheses.");
            self.open_groups += 1;
            self.bump();
        }
        let token = self.peek();
        if token.kind != TokenKind::Word || self.keyword(token).is_some() {
            self.expected("permission_expected", "a permission", FORM);
            return None;
        }
        self.bump();
        if let Ok(name) = self.permission_name(token) {
            return Some(Spanned::new(name, token.span));
        }
        self.bad_permission(token);
        None
    }

    fn bad_permission(&mut self, token: Token) {
        let text = self.text_of(token);
        let shown = excerpt(text);
        let parts = text.split(':').count();
        let (code, message, help) = if text.contains('*') {
            ("wildcard_permission", format!("{shown} has a wildcard"), "There are no wildcards; list each permission.")
        } else if parts != 3 {
            ("permission_parts", format!("{shown} has {parts} parts, not 3"), FORM)
        } else if text.len() > limits::CATALOGUE_NAME_BYTES {
            ("name_too_long", format!("{shown} has {} bytes", text.len()), "A name has at most 256 bytes.")
        } else {
            ("bad_permission_name", format!("{shown} is no permission name"), FORM)
        };
        self.complain(token, code, message, help);
    }

    /// Goes to what stands behind a permission; after a bad one without another word.
    fn behind_permission(&mut self, clean: bool) -> Behind {
        while self.peek().kind == TokenKind::Close && self.open_groups > 0 {
            self.open_groups -= 1;
            self.bump();
        }
        let token = self.peek();
        let is_name = token.kind == TokenKind::Word && self.keyword(token).is_none();
        if clean && is_name && self.text_of(token).contains(':') {
            return self.missing_between(token);
        }
        if clean && !self.at_list_end() {
            self.expected("unexpected_token", "`,`, `WHERE` or `;`", "Permissions are joined with `,`.");
        }
        while !self.at_list_end() {
            self.bump();
        }
        if self.peek().kind == TokenKind::Comma {
            self.bump();
            return Behind::Permission;
        }
        Behind::End
    }

    fn at_list_end(&self) -> bool {
        self.peek().kind == TokenKind::Comma || self.next_is(Keyword::Where) || self.at_statement_end()
    }

    /// A name behind a name: a comma or a WHERE was forgotten.
    fn missing_between(&mut self, token: Token) -> Behind {
        let shown = excerpt(self.text_of(token));
        let operator = self.is_operator(self.peek_behind(1));
        if operator {
            let message = format!("`WHERE` is missing before {shown}");
            self.complain(token, "missing_where", message, "Conditions stand behind `WHERE`.");
            return Behind::Condition;
        }
        let message = format!("`,` is missing before {shown}");
        self.complain(token, "missing_comma", message, "Permissions are joined with `,`.");
        Behind::Permission
    }
}
