"""`worker.py NAMESPACE`: a Python worker in the manner of the seed's; SIGTERM ends it."""

import asyncio
import signal
import sys

from connection import TASK_QUEUE, connect
from greeting import Greeting
from temporalio.worker import Worker


async def main(namespace):
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    client = await connect(namespace)
    async with Worker(client, task_queue=TASK_QUEUE, workflows=[Greeting]):
        await stopped.wait()


asyncio.run(main(sys.argv[1]))
