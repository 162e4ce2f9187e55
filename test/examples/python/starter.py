"""`starter.py NAMESPACE`: a Python starter in the manner of the seed's."""

import asyncio
import sys

from connection import TASK_QUEUE, connect


async def main(namespace):
    client = await connect(namespace)
    result = await client.execute_workflow("Workflow", "Temporal", id="encryption-workflow-id", task_queue=TASK_QUEUE)
    print("Workflow result:", result)


asyncio.run(main(sys.argv[1]))
