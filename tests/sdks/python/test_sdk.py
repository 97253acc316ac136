"""The official OpenAI SDK for Python against this server: only the base URL and the key differ.

Run by scripts/test-sdks, which says in the environment where everything is.
"""

import asyncio
import json
import logging
import os
import time
import unittest
import urllib.request

import openai

BASE, UPSTREAM = os.environ["BASE"], os.environ["UPSTREAM"]
KEY, POOR_KEY, SLOW_KEY = (os.environ[name] for name in ("KEY", "POOR_KEY", "SLOW_KEY"))
QUESTION = [{"role": "user", "content": "Which tea keeps me awake?"}]
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]


# Tests of coroutines run in asyncio's debug mode, which tells of every slow step.
logging.getLogger("asyncio").setLevel(logging.ERROR)


def words(count):
    return "".join(f"tok~{n}~ " for n in range(count))


def client(key=KEY, **options):
    return openai.OpenAI(base_url=BASE, api_key=key, **options)


def aborted():
    with urllib.request.urlopen(f"{UPSTREAM}/mock/stats") as stats:
        return json.load(stats)["aborted"]


def wait_for_aborted(count):
    until = time.monotonic() + 1
    while aborted() < count:
        assert time.monotonic() < until, "the model goes on after a second"
        time.sleep(0.02)


class Answers(unittest.TestCase):
    def setUp(self):
        self.client = client()
        self.addCleanup(self.client.close)

    def ask(self, model, **fields):
        return self.client.chat.completions.create(model=model, messages=QUESTION, **fields)

    def test_models_are_listed_and_found(self):
        listed = self.client.models.list().data
        self.assertEqual([model.id for model in listed], ["mock-16-5"])
        self.assertEqual(self.client.models.retrieve("mock-16-5"), listed[0])

    def test_a_whole_answer(self):
        answer = self.ask("mock-4-0", temperature=0.3, max_completion_tokens=50)
        self.assertEqual(answer.choices[0].message.content, words(4))
        self.assertEqual(answer.choices[0].finish_reason, "stop")
        self.assertEqual(answer.usage.completion_tokens, 4)

    def test_a_stream_with_its_usage(self):
        chunks = list(self.ask("mock-8-2", stream=True, stream_options={"include_usage": True}))
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        self.assertEqual(text, words(8))
        self.assertEqual(chunks[0].choices[0].delta.role, "assistant")
        self.assertEqual((chunks[-1].choices, chunks[-1].usage.completion_tokens), ([], 8))
        self.assertEqual(len({chunk.id for chunk in chunks}), 1)

    def test_a_stream_that_the_sdk_puts_together(self):
        with self.client.chat.completions.stream(model="mock-tools", messages=QUESTION, tools=TOOLS) as stream:
            call = stream.get_final_completion().choices[0].message.tool_calls[0]
        self.assertEqual((call.function.name, json.loads(call.function.arguments)), ("weather", {"city": "Oslo"}))

    def test_a_round_trip_with_a_tool(self):
        message = self.ask("mock-tools", tools=TOOLS).choices[0].message
        (call,) = message.tool_calls
        self.assertEqual(json.loads(call.function.arguments), {"city": "Oslo"})
        result = {"role": "tool", "tool_call_id": call.id, "content": "It snows."}
        answer = self.client.chat.completions.create(
            model="mock-tools", tools=TOOLS, messages=[*QUESTION, message, result]
        )
        self.assertEqual(answer.choices[0].message.content, "It snows.")

    def test_texts_are_put_into_vectors(self):
        # The SDK asks for base64 and makes numbers of it.
        answer = self.client.embeddings.create(model="mock-1-0", input=["green tea", "tea"])
        self.assertEqual([item.embedding for item in answer.data], [[2, 0.5, 0.5, 0.5], [1, 0.5, 0.5, 0.5]])
        self.assertEqual(answer.usage.total_tokens, 3)

    def test_closing_a_stream_stops_the_model(self):
        before = aborted()
        stream = self.ask("mock-hangmid", stream=True)
        self.assertEqual(next(iter(stream)).choices[0].delta.role, "assistant")
        stream.close()
        wait_for_aborted(before + 1)

    def test_trouble_of_the_provider_is_tried_again(self):
        # Three times by the server, and then by the SDK.
        answer = self.client.chat.completions.with_raw_response.create(model="mock-503-times-4:python", messages=QUESTION)
        self.assertEqual(answer.retries_taken, 1)
        self.assertEqual(answer.parse().choices[0].message.content, words(16))


class Errors(unittest.TestCase):
    def refused(self, kind, key=KEY, model="mock-1-0", **fields):
        with client(key) as asking, self.assertRaises(kind) as refused:
            asking.chat.completions.create(model=model, messages=QUESTION, **fields)
        return refused.exception

    def test_a_wrong_key(self):
        error = self.refused(openai.AuthenticationError, "rpt_wrong")
        self.assertEqual((error.type, error.code), ("authentication_error", "invalid_api_key"))

    def test_a_model_that_is_not_there(self):
        error = self.refused(openai.NotFoundError, model="gpt-none")
        self.assertEqual((error.code, error.param), ("model_not_found", "model"))

    def test_a_field_that_is_wrong(self):
        self.assertEqual(self.refused(openai.BadRequestError, temperature=3).param, "temperature")
        error = self.refused(openai.BadRequestError, n=2)
        self.assertEqual((error.code, error.param), ("unsupported_parameter", "n"))

    def test_a_budget_that_is_used_up_is_not_asked_again(self):
        error = self.refused(openai.RateLimitError, POOR_KEY)
        self.assertEqual((error.type, error.code), ("insufficient_quota", "insufficient_quota"))
        self.assertEqual(error.request.headers["x-stainless-retry-count"], "0")

    def test_too_many_requests_say_when_to_come_back(self):
        with client(SLOW_KEY, max_retries=0) as asking, self.assertRaises(openai.RateLimitError) as refused:
            for _ in range(3):
                asking.models.list()
        self.assertEqual(refused.exception.code, "rate_limit_exceeded")
        self.assertGreater(int(refused.exception.response.headers["retry-after"]), 0)

    def test_an_answer_that_breaks_off_is_an_error(self):
        with client() as asking, self.assertRaises(openai.APIError) as broken:
            list(asking.chat.completions.create(model="mock-cut", messages=QUESTION, stream=True))
        self.assertEqual(broken.exception.code, "model_failed")


class Concurrently(unittest.IsolatedAsyncioTestCase):
    async def test_answers_and_streams_side_by_side(self):
        async with openai.AsyncOpenAI(base_url=BASE, api_key=KEY) as asking:

            async def whole():
                answer = await asking.chat.completions.create(model="mock-4-5", messages=QUESTION)
                return answer.choices[0].message.content

            async def streamed():
                stream = await asking.chat.completions.create(model="mock-4-5", messages=QUESTION, stream=True)
                return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

            answers = await asyncio.gather(whole(), streamed(), whole(), streamed())
        self.assertEqual(answers, [words(4)] * 4)

    async def test_cancelling_stops_the_model(self):
        before = aborted()
        async with openai.AsyncOpenAI(base_url=BASE, api_key=KEY) as asking:
            waiting = asking.chat.completions.create(model="mock-hang", messages=QUESTION)
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(waiting, 0.3)
        await asyncio.to_thread(wait_for_aborted, before + 1)


if __name__ == "__main__":
    unittest.main()
