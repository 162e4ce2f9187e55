"""The workflow of the seed, in Python."""

from temporalio import workflow


@workflow.defn(name="Workflow")
class Greeting:
    @workflow.run
    async def run(self, name: str) -> str:
        return f"Hello, {name}"
