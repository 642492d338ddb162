//! `doorward admin`: any administrative method, with its messages as JSON.
//!
//! The messages are built from the descriptors that are compiled in, so each method of the protos can be called.

use std::io::{Read, Write};
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, SerializeOptions};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Request, Status};

use super::client::{bearer, block_on, connect_trusted, explain};
use crate::proto::DESCRIPTORS;

/// Call an administrative method with JSON.
///
/// METHOD is `Service/Method` of `doorward.v1`, such as `PolicyService/ListPolicies`. Exit code 0: done; 2: not done.
#[derive(Debug, clap::Args)]
pub struct AdminArgs {
    /// Administrative listener, HOST:PORT
    #[arg(long, default_value = "127.0.0.1:7072", value_name = "ADDRESS")]
    address: String,
    /// File with the root credential
    #[arg(long, env = "DOORWARD_ROOT_TOKEN_FILE", value_name = "FILE")]
    token_file: PathBuf,
    /// Service and method; leave it out to list them
    method: Option<String>,
    /// Request as JSON; `-` reads standard input
    #[arg(default_value = "{}")]
    request: String,
}

/// Runs the command; returns the exit code.
pub fn run(args: &AdminArgs, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    block_on(err, call(args, out))
}

async fn call(args: &AdminArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let pool = pool()?;
    let Some(name) = &args.method else { return list(&pool, out) };
    let method = find(&pool, name)?;
    let message = read_request(&args.request, method.input())?;
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", bearer(&args.token_file)?);
    let mut grpc = tonic::client::Grpc::new(connect_trusted(&args.address).await?);
    grpc.ready().await.context("the connection broke")?;
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let path = http::uri::PathAndQuery::try_from(path).context("the method has no path")?;
    let answer = grpc.unary(request, path, DynamicCodec(method.output())).await.map_err(|status| explain(&status))?;
    writeln!(out, "{}", pretty(answer.get_ref())?).context("standard output is closed")?;
    Ok(0)
}

fn pool() -> anyhow::Result<DescriptorPool> {
    DescriptorPool::decode(DESCRIPTORS).context("the compiled descriptors cannot be read")
}

/// The unary methods of the administrative services.
fn methods(pool: &DescriptorPool) -> impl Iterator<Item = MethodDescriptor> + '_ {
    let services = pool.services().filter(|service| service.package_name() == "doorward.v1");
    let methods = services.flat_map(|service| service.methods().collect::<Vec<_>>());
    methods.filter(|method| !method.is_server_streaming() && method.parent_service().name() != "AuthorizationService")
}

fn list(pool: &DescriptorPool, out: &mut dyn Write) -> anyhow::Result<u8> {
    for method in methods(pool) {
        writeln!(out, "{}/{}", method.parent_service().name(), method.name()).context("standard output is closed")?;
    }
    Ok(0)
}

fn find(pool: &DescriptorPool, name: &str) -> anyhow::Result<MethodDescriptor> {
    let wanted = name.trim_start_matches("doorward.v1.");
    let mut methods = methods(pool);
    let found = methods.find(|method| format!("{}/{}", method.parent_service().name(), method.name()) == wanted);
    found.ok_or_else(|| anyhow!("there is no method `{name}`; `doorward admin --token-file FILE` lists them"))
}

fn read_request(text: &str, descriptor: MessageDescriptor) -> anyhow::Result<DynamicMessage> {
    let mut stdin = String::new();
    let text = if text == "-" {
        std::io::stdin().lock().read_to_string(&mut stdin).context("standard input cannot be read")?;
        &stdin
    } else {
        text
    };
    let mut json = serde_json::Deserializer::from_str(text);
    let message =
        DynamicMessage::deserialize(descriptor, &mut json).context("the request is not what the method takes")?;
    match json.end() {
        Ok(()) => Ok(message),
        Err(_) => bail!("something follows the request"),
    }
}

/// A message as JSON with every field, in the spelling of the protos' JSON mapping.
pub(super) fn to_json(name: &str, message: &impl Message) -> anyhow::Result<String> {
    let descriptor = pool()?.get_message_by_name(name).with_context(|| format!("there is no message `{name}`"))?;
    let dynamic =
        DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice()).context("the answer cannot be read")?;
    pretty(&dynamic)
}

fn pretty(message: &DynamicMessage) -> anyhow::Result<String> {
    let mut text = Vec::new();
    let mut json = serde_json::Serializer::pretty(&mut text);
    let options = SerializeOptions::new().skip_default_fields(true).stringify_64_bit_integers(false);
    message.serialize_with_options(&mut json, &options).context("the answer cannot be written as JSON")?;
    String::from_utf8(text).context("the answer is no text")
}

/// Messages whose shape is known only from a descriptor.
#[derive(Debug, Clone)]
struct DynamicCodec(MessageDescriptor);

impl Codec for DynamicCodec {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = DynamicEncoder;
    type Decoder = Self;

    fn encoder(&mut self) -> DynamicEncoder {
        DynamicEncoder
    }

    fn decoder(&mut self) -> Self {
        self.clone()
    }
}

#[derive(Debug)]
struct DynamicEncoder;

impl Encoder for DynamicEncoder {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, item: DynamicMessage, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(buffer).map_err(|problem| Status::internal(problem.to_string()))
    }
}

impl Decoder for DynamicCodec {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let message = DynamicMessage::decode(self.0.clone(), buffer);
        message.map(Some).map_err(|problem| Status::internal(problem.to_string()))
    }
}
