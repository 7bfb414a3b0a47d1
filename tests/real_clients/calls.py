# urllib3 on each lane at once: so many GETs one after the other, each retried when `Retry-After` says.
# One line of JSON for each lane tells how they ended.

import json
import sys
import threading

import urllib3


def run(lane):
    # No status is retried but for its `Retry-After`, and nothing is waited for but that.
    retry = urllib3.Retry(total=100, backoff_factor=0, respect_retry_after_header=True)
    headers = {"x-api-key": lane["key"]}
    with urllib3.PoolManager(retries=retry, headers=headers, timeout=60) as pool:
        statuses = [pool.request("GET", lane["url"]).status for _ in range(lane["calls"])]
    print(json.dumps([lane["name"], statuses]) + "\n", end="", flush=True)


threads = [threading.Thread(target=run, args=(lane,)) for lane in json.loads(sys.argv[-1])]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
