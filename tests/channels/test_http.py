"""The shared client: where the border between *surely not sent* and *maybe* lies, proved with real sockets."""

from __future__ import annotations

import asyncio
import datetime as dt
import gzip
import ipaddress
import socket
import ssl
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from smsapp.channels.errors import AccountError, ChannelError, NotSent, OutcomeUnknown
from smsapp.channels.http import Guard, HttpClient
from tests.channels.wire import HERE, Line, closed_port, listening, provider, run

METHODS = ("GET", "POST")
SECRET = "https-password-8613800000000"


def body_of(method: str) -> bytes | None:
    return b"text=hello" if method == "POST" else None


async def verdict(http: HttpClient, method: str, url: str, **given: Any) -> ChannelError:
    """Return the error the call ends with; it never shows the address or what was sent."""
    with pytest.raises(ChannelError) as caught:
        await http.request(method, f"{url}/send?password={SECRET}", body=body_of(method), **given)
    shown = f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"
    assert SECRET not in shown
    assert "127.0.0.1" not in shown
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value


@pytest.mark.parametrize("method", METHODS)
def test_an_answer_comes_back_whole_whatever_its_status(method: str) -> None:
    async def story() -> None:
        async def serve(line: Line) -> None:
            await line.request()
            await line.answer("你好".encode(), "429 Too Many Requests", "Retry-After: 7\r\n")

        async with listening(serve) as url, HttpClient(HERE) as http:
            answer = await http.request(method, url + "/send", body=body_of(method))
            assert (answer.status, answer.text()) == (429, "你好")
            assert answer.headers["retry-after"] == "7"
            assert "你好" not in repr(answer)

    run(story())


@pytest.mark.parametrize("method", METHODS)
def test_a_refused_connection_is_unreachable(method: str) -> None:
    async def story() -> None:
        async with HttpClient(HERE) as http:
            error = await verdict(http, method, f"http://127.0.0.1:{closed_port()}")
            assert isinstance(error, NotSent)

    run(story())


def test_a_name_that_does_not_exist_is_unreachable() -> None:
    async def story() -> None:
        async with HttpClient(HERE) as http:
            error = await verdict(http, "POST", "https://no-such-host.invalid")
            assert isinstance(error, NotSent)
            assert error.code == "name_not_found"

    run(story())


@pytest.mark.parametrize("method", METHODS)
def test_a_server_that_never_accepts_is_unreachable(method: str) -> None:
    async def story() -> None:
        with socket.socket() as deaf, socket.socket() as first, socket.socket() as second:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(0)
            for filler in (first, second):  # fills the backlog, so that further handshakes hang
                filler.setblocking(False)
                filler.connect_ex(deaf.getsockname())
            async with HttpClient(HERE, connect_timeout=0.2) as http:
                error = await verdict(http, method, f"http://127.0.0.1:{deaf.getsockname()[1]}")
        assert isinstance(error, NotSent)

    run(story())


def test_a_failed_tls_handshake_is_unreachable() -> None:
    async def story() -> None:
        async def serve(line: Line) -> None:
            await line.say(b"this is not TLS\r\n\r\n")

        async with listening(serve) as url, HttpClient(HERE) as http:
            error = await verdict(http, "POST", url.replace("http:", "https:"))
            assert isinstance(error, NotSent)

    run(story())


@pytest.mark.parametrize("method", METHODS)
def test_no_free_connection_in_time_is_unreachable(method: str) -> None:
    async def story() -> None:
        busy, free = asyncio.Event(), asyncio.Event()

        async def serve(line: Line) -> None:
            await line.request()
            busy.set()
            await free.wait()
            await line.answer()

        async with listening(serve) as url, HttpClient(HERE, connections=1, connect_timeout=0.1) as http:
            first = asyncio.create_task(http.request("GET", url))
            await busy.wait()
            error = await verdict(http, method, url)
            free.set()
            assert (await first).status == 200
            assert isinstance(error, NotSent)

    run(story())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "heard",
    [b"", b"HTTP/1.1 200 O", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", b"220 smtp ready\r\n\r\n"],
    ids=["nothing", "half a status line", "half a body", "another protocol"],
)
def test_a_cut_after_the_request_is_unclear_and_the_request_was_made_once(method: str, heard: bytes) -> None:
    async def story() -> None:
        requests = []

        async def serve(line: Line) -> None:
            requests.append(await line.request())
            await line.say(heard)

        async with listening(serve) as url, HttpClient(HERE) as http:
            error = await verdict(http, method, url)
            await asyncio.sleep(0.05)  # a second request would come now
            assert isinstance(error, OutcomeUnknown)
            assert len(requests) == 1

    run(story())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("heard", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"])
def test_a_late_answer_is_unclear(method: str, heard: bytes) -> None:
    async def story() -> None:
        requests = []

        async def serve(line: Line) -> None:
            requests.append(await line.request())
            await line.say(heard)
            await line.reader.read()

        async with listening(serve) as url, HttpClient(HERE) as http:
            error = await verdict(http, method, url, timeout=0.15)
            assert isinstance(error, OutcomeUnknown)
            assert error.code == "timeout"
            assert len(requests) == 1

    run(story())


def test_whoever_ends_the_task_meanwhile_is_obeyed_and_a_late_answer_leaves_no_trace_of_its_end() -> None:
    async def story() -> None:
        async def serve(line: Line) -> None:
            await line.request()
            await line.reader.read()

        async with listening(serve) as url, HttpClient(HERE) as http:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await http.request("GET", url, timeout=5)
            call = asyncio.create_task(http.request("GET", url, timeout=5))
            await asyncio.sleep(0.05)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert isinstance(await verdict(http, "GET", url, timeout=0.05), OutcomeUnknown)
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0

    run(story())


@pytest.mark.parametrize("method", METHODS)
def test_a_kept_connection_cut_after_the_second_request_is_unclear_and_never_repeated(method: str) -> None:
    """aiohttp itself repeats a GET here: the gateway would send the SMS a second time."""

    async def story() -> None:
        requests: list[bytes] = []

        async def serve(line: Line) -> None:
            requests.append(await line.request())
            await line.answer()
            requests.append(await line.request())

        async with listening(serve) as url, HttpClient(HERE) as http:
            assert (await http.request(method, url, body=body_of(method))).status == 200
            error = await verdict(http, method, url)
            await asyncio.sleep(0.05)
            assert isinstance(error, OutcomeUnknown)
            assert len(requests) == 2

    run(story())


@pytest.mark.parametrize("method", METHODS)
def test_a_kept_connection_closed_before_the_second_request_is_replaced(method: str) -> None:
    async def story() -> None:
        requests: list[bytes] = []
        closed = asyncio.Event()

        async def serve(line: Line) -> None:
            requests.append(await line.request())
            await line.answer()
            await line.hang_up()
            closed.set()

        async with listening(serve) as url, HttpClient(HERE) as http:
            for _ in range(3):
                closed.clear()
                assert (await http.request(method, url, body=body_of(method))).status == 200
                await closed.wait()
            assert len(requests) == 3

    run(story())


@pytest.mark.parametrize("method", METHODS)
def test_a_goodbye_the_event_loop_has_not_seen_yet_is_noticed_before_anything_is_written(method: str) -> None:
    async def story() -> None:
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen()
            url = f"http://127.0.0.1:{server.getsockname()[1]}"
            async with HttpClient(HERE) as http:
                seen = []
                for turn in range(2):
                    call = asyncio.create_task(http.request(method, url, body=body_of(method)))
                    loop = asyncio.get_running_loop()
                    server.setblocking(False)
                    line, _ = await loop.sock_accept(server)
                    line.setblocking(False)
                    seen.append(await loop.sock_recv(line, 65536))
                    await loop.sock_sendall(line, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    assert (await call).status == 200, turn
                    line.close()  # no await until the next request: the loop cannot have read this
                assert len(seen) == 2

    run(story())


@pytest.mark.parametrize("method", METHODS)
def test_a_server_that_hangs_up_on_every_new_connection_ends_as_unreachable_or_unclear_but_soon(method: str) -> None:
    async def story() -> None:
        async def serve(line: Line) -> None:
            await line.hang_up()

        async with listening(serve) as url, HttpClient(HERE) as http:
            assert isinstance(await verdict(http, method, url), NotSent | OutcomeUnknown)

    run(story())


def test_redirects_are_answers_and_are_not_followed() -> None:
    async def story() -> None:
        async def answer(_request: web.Request, _body: bytes) -> web.Response:
            return web.Response(status=302, headers={"Location": "/elsewhere"})

        async with provider(answer) as server, HttpClient(HERE) as http:
            assert (await http.request("GET", server.url + "/")).status == 302
            assert len(server.requests) == 1

    run(story())


@pytest.mark.parametrize("chunked", [False, True])
def test_an_answer_larger_than_the_cap_is_unclear(chunked: bool) -> None:
    async def story() -> None:
        async def answer(request: web.Request, _body: bytes) -> web.StreamResponse:
            if not chunked:
                return web.Response(body=b"x" * 5000)
            response = web.StreamResponse()
            await response.prepare(request)
            for _ in range(50):
                await response.write(b"x" * 100)
            return response

        async with provider(answer) as server, HttpClient(HERE, largest_answer=1000) as http:
            error = await verdict(http, "POST", server.url)
            assert isinstance(error, OutcomeUnknown)
            assert error.code == "answer_too_large"
        async with provider(answer) as server, HttpClient(HERE, largest_answer=5000) as http:
            assert len((await http.request("GET", server.url)).body) == 5000

    run(story())


def test_a_compressed_answer_is_not_inflated() -> None:
    async def story() -> None:
        bomb = gzip.compress(b"0" * 10_000_000)

        async def answer(_request: web.Request, _body: bytes) -> web.Response:
            return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

        async with provider(answer) as server, HttpClient(HERE) as http:
            assert (await http.request("GET", server.url)).body == bomb
            assert server.headers[0]["Accept-Encoding"] == "identity"

    run(story())


def test_a_request_larger_than_the_cap_does_not_leave() -> None:
    async def story() -> None:
        async def answer(_request: web.Request, _body: bytes) -> web.Response:
            return web.Response()

        async with provider(answer) as server, HttpClient(HERE, largest_request=5) as http:
            assert isinstance(await verdict(http, "POST", server.url), AccountError)
            assert server.requests == []

    run(story())


def test_the_address_is_sent_as_it_stands() -> None:
    async def story() -> None:
        async def answer(_request: web.Request, _body: bytes) -> web.Response:
            return web.Response()

        path = "/send?text=%E4%BD%A0%20a%2Bb%26&dlr-url=http%3A%2F%2Fx%2F%3Ftype%3D%25d"
        async with provider(answer) as server, HttpClient(HERE) as http:
            await http.request("GET", server.url + path)
            assert server.requests[0][1] == path

    run(story())


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/",
        "https://127.0.0.1:1/",
        "https://localhost:1/",
        "https://10.1.2.3/",
        "https://[::1]/",
        "https://[::ffff:10.1.2.3]/",
        "https://169.254.169.254/latest",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://[64:ff9b::a00:1]/",
        "https://[2002:a00:1::]/",
        "https://224.0.0.1/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "https:///nothing",
        "https://[broken/",
        "",
    ],
)
def test_addresses_that_settings_do_not_allow_are_not_called(url: str) -> None:
    async def story() -> None:
        async with HttpClient() as http:
            with pytest.raises(AccountError):
                await http.request("GET", url, timeout=1)

    run(story())


@pytest.mark.parametrize("url", ["https://2130706433:1/", "https://127.1:1/", "https://0x7f000001:1/"])
def test_odd_spellings_of_an_address_reach_nobody(url: str) -> None:
    async def story() -> None:
        async with HttpClient() as http:
            with pytest.raises(ChannelError) as caught:
                await http.request("GET", url, timeout=1)
            assert isinstance(caught.value, AccountError | NotSent)

    run(story())


def test_plain_http_is_for_named_private_hosts_or_by_a_switch() -> None:
    async def story() -> None:
        async with HttpClient(HERE, connect_timeout=0.2) as http:
            with pytest.raises(AccountError) as caught:
                await http.request("GET", "http://198.51.100.7.invalid/")
            assert caught.value.code == "plain_http"
            with pytest.raises(NotSent):
                await http.request("GET", "http://198.51.100.7.invalid/", plain_http=True)

    run(story())


def test_a_private_host_may_be_allowed_by_name() -> None:
    async def story() -> None:
        async def answer(_request: web.Request, _body: bytes) -> web.Response:
            return web.Response()

        async with provider(answer) as server, HttpClient(("localhost",)) as http:
            url = server.url.replace("127.0.0.1", "localhost")
            assert (await http.request("GET", url)).status == 200
            with pytest.raises(AccountError):
                await http.request("GET", server.url)

    run(story())


def test_the_guard_knows_public_from_private() -> None:
    guard = Guard(("10.1.0.0/16", "kannel.lan", "2001:db8::1"))
    address = ipaddress.ip_address
    assert guard.allows("example.com", address("93.184.216.34"))
    assert guard.allows("example.com", address("2606:2800:220:1::1"))
    assert guard.allows("x", address("10.1.9.9"))
    assert guard.allows("x", address("::ffff:93.184.216.34"))
    assert guard.allows("Kannel.lan.", address("192.168.0.9"))
    assert guard.is_named("10.1.0.1")
    assert guard.is_named("[2001:db8::1]")
    assert not guard.is_named("10.2.0.1")
    assert not guard.allows("x", address("10.2.0.1"))
    assert not guard.allows("x", address("192.168.0.9"))
    # no notation of IPv6 leads to a private address of IPv4, and no network of a site counts as public
    for written in (
        "64:ff9b::a02:1", "64:ff9b:1::a02:1", "64:ff9b:1::5db8:d822", "::10.2.0.1", "::ffff:0:a02:1", "fec0::1",
        "2002:a02:1::", "::127.0.0.1", "::ffff:0:7f00:1",
    ):  # fmt: skip
        assert not guard.allows("x", address(written)), written
    assert guard.allows("x", address("64:ff9b::5db8:d822"))
    assert Guard(["::1", "fec0::/10"]).allows("x", address("::1"))
    assert Guard(["::1", "fec0::/10"]).allows("x", address("fec0::1"))
    assert not guard.allows("x", address("fe80::1"))


def test_the_client_outside_of_its_block_says_so() -> None:
    async def story() -> None:
        with pytest.raises(RuntimeError, match="async with"):
            await HttpClient().request("GET", "https://example.com")

    run(story())


def test_a_certificate_nobody_vouches_for_is_unreachable(tmp_path: Any) -> None:
    async def story() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self_signed(tmp_path))
        server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0, ssl=context)
        async with HttpClient(HERE) as http:
            error = await verdict(http, "POST", f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        server.close()
        assert isinstance(error, NotSent)
        assert error.code == "tls_certificate"

    run(story())


def self_signed(folder: Any) -> tuple[str, str]:
    """Write a certificate for 127.0.0.1 that signs itself; return the paths of certificate and key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "cert.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(certificate_file), str(key_file)
