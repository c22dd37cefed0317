# A worker, or any other coordq command: docker run IMAGE stats
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY coordq coordq
COPY lua lua
COPY workers workers
RUN pip install ".[http]" && rm -rf build ./*.egg-info

# Agents run strangers' arguments: not as root.
RUN useradd --system --uid 999 --create-home --home-dir /app coordq
COPY --chown=coordq workers /app/workers
USER coordq
WORKDIR /app

# The worker drains at SIGTERM, so it has to get it itself: no shell in between.
ENTRYPOINT ["coordq"]
CMD ["worker", "/app/workers"]
