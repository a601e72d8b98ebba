# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PRIVATE: what can be told of a line of HAProxy's: the names in it, and the versions that know its words. Not for use outside.

Keys of the data model carry their versions in the tables of the model. Here is what stands within lines: options, actions, sample
fetches and converters, balance algorithms. Missing here means that HAProxy 2.4 knows it, or that HAProxy itself will tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# Word: the first version that knows it.
OPTIONS = {
    "httpslog": "2.5",
    "http-restrict-req-hdr-names": "2.6",
    "forwarded": "2.8",
    "accept-unsafe-violations-in-http-request": "3.1",
    "accept-unsafe-violations-in-http-response": "3.1",
    "http-drop-request-trailers": "3.1",
    "http-drop-response-trailers": "3.1",
    "assume-rfc6587-ntf": "3.1",
}
# Word: the last version that knew it.
GONE_OPTIONS = {"http_proxy": "2.4"}
ACTIONS = {
    "set-var-fmt": "2.5",
    "sc-inc-gpc": "2.5",
    "sc-set-gpt": "2.5",
    "sc-add-gpc": "2.8",
    "set-bandwidth-limit": "2.7",
    "attach-srv": "2.9",
    "set-bc-mark": "3.0",
    "set-bc-tos": "3.0",
    "set-fc-mark": "3.0",
    "set-fc-tos": "3.0",
}
# In these rules, actions came later than elsewhere.
LATE_ACTIONS = {
    "http_after_response": {
        "set-map": "2.8",
        "del-map": "2.8",
        "del-acl": "2.8",
        "set-log-level": "2.8",
        "sc-inc-gpc0": "2.8",
        "sc-inc-gpc1": "2.8",
    },
    "http_response": {"set-timeout": "2.9"},
}
BALANCE = {"hash": "2.6", "log-hash": "2.9"}
FILTERS = {"bwlim-in": "2.7", "bwlim-out": "2.7"}
STORES = {"gpc": "2.5", "gpt": "2.5", "glitch_cnt": "3.0", "glitch_rate": "3.0"}
FETCHES = {
    "accept_date": "2.9",
    "request_date": "2.9",
    "bytes_in": "2.9",
    "bytes_out": "2.9",
    "bc_err_name": "3.0.6",
    "fc_err_name": "3.0.6",
    "bc_glitches": "3.0",
    "fc_glitches": "3.0",
    "bc_nb_streams": "3.0",
    "fc_nb_streams": "3.0",
    "bc_be_queue": "3.0",
    "bc_srv_queue": "3.0",
    "bc.timer.connect": "2.9",
    "fc.timer.handshake": "2.9",
    "fc.timer.total": "2.9",
    "req.timer.hdr": "2.9",
    "req.timer.idle": "2.9",
    "req.timer.queue": "2.9",
    "req.timer.tq": "2.9",
    "res.timer.data": "2.9",
    "res.timer.hdr": "2.9",
    "txn.timer.total": "2.9",
    "txn.timer.user": "2.9",
    "fc_pp_tlv": "2.9",
    "req.cook_names": "2.8",
    "res.cook_names": "2.8",
    "server_status": "2.9",
    "src_glitch_cnt": "3.0",
    "src_glitch_rate": "3.0",
    "sc_glitch_cnt": "3.0",
    "sc_glitch_rate": "3.0",
    "ssl_fc_curve": "2.9",
    "ssl_bc_curve": "2.9",
    "ssl_c_r_dn": "2.8",
    "txn.conn_retries": "2.9",
    "txn.redispatched": "3.0",
    "txn.sess_term_state": "2.9",
    "txn.status": "2.9",
    "fs.id": "2.9",
    "bs.id": "2.9",
    "quic_enabled": "2.8",
}
CONVERTERS = {
    "map_str_key": "3.0",
    "map_beg_key": "3.0",
    "map_dir_key": "3.0",
    "map_dom_key": "3.0",
    "map_end_key": "3.0",
    "map_int_key": "3.0",
    "map_ip_key": "3.0",
    "map_reg_key": "3.0",
    "map_sub_key": "3.0",
    "aes_gcm_enc": "3.0",
    "ms_ltime": "2.9",
    "ms_utime": "2.9",
    "us_ltime": "2.9",
    "us_utime": "2.9",
    "rfc7239_field": "2.8",
    "rfc7239_is_valid": "2.8",
    "rfc7239_n2nn": "2.8",
    "rfc7239_n2np": "2.8",
    "table_glitch_cnt": "3.0",
    "table_glitch_rate": "3.0",
    "x509_v_err_str": "2.7",
    "when": "3.0",
}
_FETCH = re.compile(r"(?:%\[|\{\s*!?|!|\()\s*([a-z][a-z0-9_.]*)")
_CONVERTER = re.compile(r",\s*([a-z][a-z0-9_]*)")

# Actions after which no rule of the same kind is reached, unless they have a condition.
FINAL = {
    "http_request": {"deny", "tarpit", "redirect", "return", "reject", "silent-drop", "allow", "use-service", "auth"},
    "http_response": {"deny", "redirect", "return", "allow", "silent-drop"},
    "http_after_response": {"allow"},
    "tcp_request": {"accept", "reject", "silent-drop"},
    "tcp_response": {"accept", "close", "reject", "silent-drop"},
}
# ACLs that HAProxy brings.
PREDEFINED = re.compile(r"TRUE|FALSE|WAIT_END|LOCALHOST|RDP_COOKIE|REQ_CONTENT|METH_[A-Z]+|HTTP(_[A-Z0-9_.]+)?")
_SPLIT = re.compile(r"""(?:[^\s'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+""")

_AUTH = re.compile(r"\bhttp_auth(?:_group)?\(([^)\s]+)\)")
_BACKEND = re.compile(
    r"\b(?:nbsrv|be_conn|be_conn_free|be_id|be_name|be_sess_rate|avg_queue|queue|connslots|srv_conn|srv_conn_free|srv_is_up|srv_queue|"
    r"srv_sess_rate|srv_weight|srv_iweight|srv_uweight)\(([^)/\s]+)"
)
_FRONTEND = re.compile(r"\bfe_(?:conn|sess_rate|req_rate|defbe)\(([^)\s]+)\)")
_TABLE = re.compile(r"\b(?:(?:sc[0-9]?_|src_|table_)[a-z0-9_]+|in_table)\(([^)]*)\)")
_RESOLVE = re.compile(r"\bdo-resolve\([^,)]*,([^,)]*)")


def words(line: str) -> list[str]:
    """Split a line as HAProxy does, quotes kept."""
    return line.split() if "'" not in line and '"' not in line and "\\" not in line else _SPLIT.findall(line)


def computed(name: str) -> bool:
    """Tell whether HAProxy works a name out while it runs."""
    return "%[" in name or name.startswith("%")


def has_condition(parts: list[str]) -> bool:
    """Tell whether a rule holds only sometimes."""
    return "if" in parts[1:] or "unless" in parts[1:]


def conditions(parts: list[str]) -> Iterator[str]:
    """List the ACLs that a rule's condition names; tests in braces stand for themselves."""
    inside = False
    found: list[str] | None = None
    for index, word in enumerate(parts):
        name = word.lstrip("!")
        if name.startswith("{"):
            inside = True
        elif index and not inside and word in ("if", "unless"):
            # The last one counts: a word before it may be called so, too.
            found = []
        elif found is not None and not inside and name and name not in ("or", "||", "and") and not PREDEFINED.fullmatch(name):
            found.append(name)
        if name.endswith("}"):
            inside = False
    yield from found or ()


def action(key: str, parts: list[str]) -> tuple[str, str]:
    """Name a rule's action, and the rule set that it belongs to."""
    if key in ("tcp_request", "tcp_response"):
        return (parts[1] if len(parts) > 1 else "", parts[0] if parts else "")
    return (parts[0] if parts else "", key)


def bare(word: str) -> str:
    """Take the arguments off a word."""
    return word.split("(", 1)[0]


def references(line: str) -> Iterator[tuple[str, str]]:
    """List the names in a rule that lead elsewhere: what kind of thing, and its name."""
    if "(" in line:
        for kind, pattern in (("userlist", _AUTH), ("backend", _BACKEND), ("frontend", _FRONTEND), ("resolvers", _RESOLVE)):
            for match in pattern.finditer(line):
                yield kind, match[1]
        for match in _TABLE.finditer(line):
            last = match[1].rsplit(",", 1)[-1].strip()
            if last and not last.isdigit():
                yield "table", last
    parts = words(line)
    for index, word in enumerate(parts[:-1]):
        following = parts[index + 1]
        if word == "cache-use" or word == "cache-store":
            yield "cache", following
        elif word == "errorfiles":
            yield "http-errors", following
        elif word == "table" and index > 1 and any(part.startswith(("track-sc", "on", "match", "store-")) for part in parts[:index]):
            yield "table", following


def late_words(line: str) -> Iterator[tuple[str, str]]:
    """List the sample fetches and converters of a line that not every version knows, with the first that does."""
    for match in _FETCH.finditer(line):
        if match[1] in FETCHES:
            yield match[1], FETCHES[match[1]]
    if "," in line:
        for match in _CONVERTER.finditer(line):
            if match[1] in CONVERTERS:
                yield match[1], CONVERTERS[match[1]]
