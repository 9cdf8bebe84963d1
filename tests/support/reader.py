"""A reader of pages without a script: follows links and redirects, fills in and sends forms as they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

from flask import Flask
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

Attributes = dict[str, str | None]
_VOID = {"input", "meta", "link", "img", "br", "hr", "col"}


@dataclass
class Form:
    """A form of a page with what it would send."""

    action: str
    method: str
    id: str | None
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str | None, str, str]] = field(default_factory=list)
    """Name, value and text of each button."""


class Pages(HTMLParser):
    """The forms, links and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self.links: list[tuple[str, str]] = []
        self.text: list[str] = []
        self._form: Form | None = None
        self._loose: list[tuple[str, tuple[str, str]]] = []
        self._select: tuple[str, bool] | None = None
        self._open: list[tuple[str, Attributes, int]] = []
        self.feed(text)
        for form_id, entry in self._loose:
            for form in self.forms:
                if form.id == form_id:
                    form.fields.append(entry)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        a = dict(attrs)
        if tag == "form":
            self._form = Form(a.get("action") or "", (a.get("method") or "get").lower(), a.get("id"))
            self.forms.append(self._form)
        elif tag == "input":
            self._input(a)
        elif tag == "select":
            self._select = (a.get("name") or "", False)
        elif tag == "option" and self._select is not None:
            self._option(a)
        if tag not in _VOID:
            self._open.append((tag, a, len(self.text)))

    def _input(self, a: Attributes) -> None:
        kind, name = a.get("type") or "text", a.get("name")
        if not name or "disabled" in a or (kind in ("checkbox", "radio") and "checked" not in a):
            return
        entry = (name, a.get("value") or ("on" if kind in ("checkbox", "radio") else ""))
        if a.get("form"):
            self._loose.append((str(a["form"]), entry))
        elif self._form is not None:
            self._form.fields.append(entry)

    def _option(self, a: Attributes) -> None:
        assert self._select is not None
        name, chosen = self._select
        if self._form is None or not name:
            return
        if "selected" in a:
            self._form.fields = [entry for entry in self._form.fields if entry[0] != name]
        if "selected" in a or not chosen:
            self._form.fields.append((name, a.get("value") or ""))
            self._select = (name, True)

    def handle_endtag(self, tag: str) -> None:
        while self._open:
            name, attributes, start = self._open.pop()
            said = " ".join(" ".join(self.text[start:]).split())
            if name == "a" and attributes.get("href"):
                self.links.append((str(attributes["href"]), said))
            if name == "button" and self._form is not None:
                self._form.buttons.append((attributes.get("name"), attributes.get("value") or "", said))
            if name == tag:
                break
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = None

    def handle_data(self, data: str) -> None:
        self.text.append(data)


class Reader:
    """Somebody with a browser in which no script runs."""

    def __init__(self, app: Flask) -> None:
        self.client = app.test_client()
        self.status = 0
        self.path = ""
        self.html = ""
        self.response: TestResponse

    def get(self, path: str, **more: Any) -> Reader:
        return self._came(self.client.get(path, **more), path)

    def _came(self, response: TestResponse, path: str) -> Reader:
        for _ in range(5):
            if response.status_code not in (301, 302, 303):
                break
            path = urljoin(path, response.headers["Location"])
            assert not urlsplit(path).netloc, f"led to {path}"
            response = self.client.get(path)
        self.response, self.status, self.path = response, response.status_code, path
        self.html = response.get_data(as_text=True)
        return self

    @property
    def parsed(self) -> Pages:
        return Pages(self.html)

    @property
    def text(self) -> str:
        """What the page says, without markup."""
        return " ".join(" ".join(self.parsed.text).split())

    def form(self, action: str, button: str | None = None) -> Form:
        """The form that leads to an address, and has a button of that text where one is named."""
        for form in self.parsed.forms:
            if form.action == action and (
                button is None or any(button in text for _, _, text in form.buttons)
            ):
                return form
        raise AssertionError(f"no form to {action} {button or ''} on {self.path}:\n{self.text}")

    def submit(self, action: str, button: str | None = None, **changes: str | list[str] | None) -> Reader:
        """Fill in some fields of a form and press one of its buttons; None leaves a field out."""
        form = self.form(action, button)
        fields = MultiDict(form.fields)
        for name, typed in changes.items():
            fields.poplist(name)
            for one in typed if isinstance(typed, list) else [] if typed is None else [typed]:
                fields.add(name, one)
        for pressed, value, text in form.buttons:
            if pressed and button is not None and button in text:
                fields.add(pressed, value)
                break
        if form.method == "post":
            return self._came(self.client.post(action, data=fields), action)
        return self.get(action, query_string=fields)

    def follow(self, text: str) -> Reader:
        """Follow the first link that says so."""
        href = next((href for href, said in self.parsed.links if text in said), None)
        assert href is not None, f"no link {text!r} on {self.path}:\n{self.text}"
        return self.get(href)

    def cells(self, package: str) -> list[str]:
        """What each cell of a package's row says to a screen reader."""
        return list(self._cells(package))

    def _cells(self, package: str) -> Iterator[str]:
        row = re.search(rf'<tr role="row" data-package="{package}">(.*?)</tr>', self.html, re.DOTALL)
        assert row is not None, f"no row {package}"
        for cell in re.findall(r'<td role="gridcell" class="c.*?</td>', row[1], re.DOTALL):
            yield " ".join(re.sub(r"<i .*?</i>|<[^>]*>", " ", cell, flags=re.DOTALL).split())

    def sign_in(self, name: str, password: str = "correct horse") -> Reader:
        self.get("/login").submit("/login", name=name, password=password)
        assert self.status == 200, self.text
        return self
