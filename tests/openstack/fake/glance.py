"""Glance: the one image of which nodes are made."""

from __future__ import annotations

from werkzeug import Request, Response

from tests.openstack.fake.web import Caller, Refused, Service, answer

IMAGE = "image-of-a-node"


class Glance(Service):
    type = "image"
    path = "/image"

    def __init__(self) -> None:
        super().__init__()
        self.route("GET", "/v2/images/(?P<image>[^/]+)", self._image)

    def _image(self, _request: Request, _caller: Caller, image: str) -> Response:
        if image != IMAGE:
            raise Refused(404, {"error": {"code": 404, "message": f"No image found with ID {image}"}})
        return answer({"id": image, "name": "node", "status": "active"})
