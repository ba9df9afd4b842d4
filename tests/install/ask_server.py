"""Starts the example server on a free port of the loopback interface, and asks it what a client would."""

import concurrent.futures
import json
import pathlib
import signal
import struct
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

YAML = """
members:
  - {name: a, model: {kind: fake, classes: 3}}
  - {name: b, model: {kind: fake, classes: 3, delay_us: 2000}}
assignment: cpu
input: {shape: [1, 2, 2]}
"""


def ask(url, body=None):
    try:
        with urllib.request.urlopen(url, body, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def main():
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "ensemble.yaml"
        file.write_text(YAML)
        server = subprocess.Popen([sys.argv[1], "0", file, "1", "2", "2"], stdout=subprocess.PIPE, text=True)
        try:
            port = int(server.stdout.readline().rsplit(":", 1)[1])
            url = f"http://127.0.0.1:{port}"
            images = struct.pack("8f", *(0.1 * i for i in range(8)))
            status, answer = ask(url + "/predict", images)
            assert status == 200 and len(answer["predicted"]) == 2 and answer["complete"], answer
            with concurrent.futures.ThreadPoolExecutor(16) as threads:
                answers = list(threads.map(lambda _: ask(url + "/predict", images), range(64)))
            late = (503, {"error": "too late"})  # on a machine that is very busy
            assert answers.count((200, answer)) > 0 and all(one in ((200, answer), late) for one in answers), answers
            assert ask(url + "/health") == (200, {"ready": True, "problems": []})
            status, answer = ask(url + "/predict", images[:-1])
            assert status == 400 and "16 bytes each" in answer["error"], answer
            assert ask(url + "/nothing")[0] == 404
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(20) == 0


main()
