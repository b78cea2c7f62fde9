# The static binary and nothing else: enough for faults on containers, services and edges with `listen:`. Edges with `from:` and
# faults on `network:` need `nft` in the image and more rights: docs/containers.md. Build the binary first, on a machine with the musl target:
#
#   rustup target add x86_64-unknown-linux-musl
#   cargo build --release --target x86_64-unknown-linux-musl -p murphy
#   docker build -t murphy --build-arg BINARY=target/x86_64-unknown-linux-musl/release/murphy .
#
#   docker run --rm murphy --version
#   docker run --rm --network host -v "$PWD:/work" murphy run murphy/        # scenarios whose services run elsewhere
#   docker run --rm --network host -v "$PWD:/work" -v /var/run/docker.sock:/var/run/docker.sock murphy run murphy/
FROM scratch
ARG BINARY
COPY ${BINARY} /murphy
WORKDIR /work
# Undo logs must outlive the container: give it a volume if faults act on anything outside of it.
ENV MURPHY_STATE_DIR=/state TMPDIR=/state
VOLUME /state
ENTRYPOINT ["/murphy"]
CMD ["--help"]
