fn main() {
    print!("{}", helm_release_operator::api::crd_yaml());
}
