"""A function for the functions framework for Python: tells what it is called with, and fails the first time."""

import base64
import json
import sys
import threading

import functions_framework

failed = set()
output = threading.Lock()


@functions_framework.cloud_event
def handle(event):
    identity = event["id"]
    if identity.endswith("/exactjson") and identity not in failed:
        failed.add(identity)
        raise RuntimeError(f"the first time of {identity}")
    received = {"attributes": dict(event.get_attributes()), "data": data_said(event.get_data())}
    line = json.dumps({"received": received, "failed": identity in failed})
    # Called by several threads at once: print would write the end of a line by itself.
    with output:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def data_said(data):
    if data is None:
        return None
    if isinstance(data, bytes):
        return {"bytes": base64.b64encode(data).decode()}
    return {"text": data} if isinstance(data, str) else {"json": data}
