"""The headers that every response carries: what a browser may load, frame, guess and tell."""

from __future__ import annotations

from flask import Flask, Response, request

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # The check against forged forms reads the referrer, which stays within the site.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_WHO = ("Authorization", "Cookie")
"""By what an answer knows who asks."""


def init_app(app: Flask) -> None:
    """Set them, unless a route has said otherwise; what the API answers is kept by nobody."""

    @app.after_request
    def protect(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if request.path.startswith("/api/"):
            response.headers.setdefault("Cache-Control", "no-store")
            if "Vary" in response.headers:
                response.vary.update(_WHO)
            else:  # as nearly always, and then nothing needs to be parsed
                response.headers["Vary"] = ", ".join(_WHO)
        if request.is_secure:
            response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        return response
