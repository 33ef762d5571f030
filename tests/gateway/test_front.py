"""A gateway whose broker is not there yet: it lives, and says so."""

import httpx

from gateway.front import Front


async def test_until_the_gateway_is_there_it_lives_and_is_not_ready():
    front = Front()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(front), base_url="http://shop.example") as client:
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        for path in ("/readyz", "/v1/trending"):
            answer = await client.get(path)
            assert answer.status_code == 503
            assert answer.headers["Retry-After"]
            assert answer.json()["code"] == "starting"

        async def gateway(scope, receive, send):
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        front.app = gateway
        assert (await client.get("/readyz")).status_code == 204
